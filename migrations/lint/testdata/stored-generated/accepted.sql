-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS things_lower_name_idx ON things (tenant_id, lower(name), id);
