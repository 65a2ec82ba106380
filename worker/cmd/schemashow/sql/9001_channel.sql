-- Add a column with a default: a constant one is kept beside the table, and no row is touched.

-- +goose Up
ALTER TABLE customers ADD COLUMN channel text NOT NULL DEFAULT 'web';

-- +goose Down
ALTER TABLE customers DROP COLUMN channel;
