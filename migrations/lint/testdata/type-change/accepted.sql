-- +goose Up
-- The program writes both; a backfill copies the old rows.
ALTER TABLE things ADD COLUMN size_bytes bigint;
