-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE things ADD COLUMN colour text;
CREATE INDEX CONCURRENTLY things_size_idx ON things (tenant_id, size, id);
INSERT INTO parents (tenant_id, id) VALUES (gen_random_uuid(), gen_random_uuid());
