-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE things ADD COLUMN IF NOT EXISTS colour text;
CREATE INDEX CONCURRENTLY IF NOT EXISTS things_size_idx ON things (tenant_id, size, id);
