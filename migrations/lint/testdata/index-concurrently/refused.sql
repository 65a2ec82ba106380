-- +goose Up
CREATE INDEX things_size_idx ON things (tenant_id, size, id);
DROP INDEX things_name_idx;
