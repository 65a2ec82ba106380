-- +goose Up
ALTER TABLE things ALTER COLUMN name SET NOT NULL;
