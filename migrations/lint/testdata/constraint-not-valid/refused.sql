-- +goose Up
ALTER TABLE things ADD CONSTRAINT things_size_check CHECK (size > 0);
ALTER TABLE things ADD CONSTRAINT things_parent_id_fkey FOREIGN KEY (tenant_id, parent_id) REFERENCES parents;
ALTER TABLE things ADD COLUMN width int CHECK (width > 0);
