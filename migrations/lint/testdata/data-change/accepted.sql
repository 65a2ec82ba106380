-- +goose Up
ALTER TABLE things ALTER COLUMN name SET DEFAULT '';
-- The rows that there are: a backfill.
