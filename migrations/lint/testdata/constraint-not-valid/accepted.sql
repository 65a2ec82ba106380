-- file: 9002_add.sql
-- +goose Up
ALTER TABLE things ADD CONSTRAINT things_parent_id_fkey FOREIGN KEY (tenant_id, parent_id) REFERENCES parents NOT VALID;
-- file: 9003_validate.sql
-- +goose Up
ALTER TABLE things VALIDATE CONSTRAINT things_parent_id_fkey;
