-- What one needs, beside the permission to read files, to read one that was made of records: the permission to read those.

-- +goose Up
ALTER TABLE files ADD COLUMN permission text; -- NULL for nothing more

-- +goose Down
ALTER TABLE files DROP COLUMN permission;
