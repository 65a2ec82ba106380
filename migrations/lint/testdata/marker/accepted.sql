-- +goose Up
-- lint: allow type-change: from varchar(20) to text, which rewrites nothing
ALTER TABLE things ALTER COLUMN name TYPE text;
