-- The trace that a request is part of (W3C Trace Context) goes with what it causes, beside the request's id:
-- "<trace id>-<flags>", NULL for none.

-- +goose Up
ALTER TABLE jobs_finished ADD COLUMN trace text;

-- +goose Down
ALTER TABLE jobs_finished DROP COLUMN trace;
