-- +goose Up
ALTER TABLE things ADD COLUMN lower_name text GENERATED ALWAYS AS (lower(name)) STORED;
