-- +goose Up
-- +goose StatementBegin
DO $$ BEGIN UPDATE things SET name = ''; END $$;
-- +goose StatementEnd
