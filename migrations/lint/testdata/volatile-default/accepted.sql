-- +goose Up
ALTER TABLE things ADD COLUMN token uuid;
ALTER TABLE things ALTER COLUMN token SET DEFAULT gen_random_uuid();
ALTER TABLE things ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
