-- lint: allow drop: stands above nothing
-- +goose Up
-- lint: allow drop
-- lint: allow everything: why not
-- contract: soon
-- lint: allow rename: nothing is renamed
ALTER TABLE things ADD COLUMN colour text; -- contract: 1.4.0
