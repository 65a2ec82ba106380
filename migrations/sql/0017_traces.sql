-- The trace that a request is part of (W3C Trace Context) goes with the jobs and the events that it causes, beside the
-- request's id: "<trace id>-<flags>", NULL for none.

-- +goose Up
-- lint: allow one-lock: columns without a default, before the first release
ALTER TABLE jobs ADD COLUMN trace text;
ALTER TABLE jobs_finished ADD COLUMN trace text;
ALTER TABLE events ADD COLUMN trace text;

-- +goose Down
ALTER TABLE events DROP COLUMN trace;
ALTER TABLE jobs_finished DROP COLUMN trace;
ALTER TABLE jobs DROP COLUMN trace;
