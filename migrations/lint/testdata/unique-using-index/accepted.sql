-- file: 9002_index.sql
-- +goose NO TRANSACTION
-- +goose Up
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS things_name_key ON things (tenant_id, name);
-- file: 9003_key.sql
-- +goose Up
ALTER TABLE things ADD CONSTRAINT things_name_key UNIQUE USING INDEX things_name_key;
