-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS things_size_idx ON things (tenant_id, size, id);
DROP INDEX CONCURRENTLY IF EXISTS things_name_idx;
