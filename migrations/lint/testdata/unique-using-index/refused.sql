-- +goose Up
ALTER TABLE things ADD CONSTRAINT things_name_key UNIQUE (tenant_id, name);
