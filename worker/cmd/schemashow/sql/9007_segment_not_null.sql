-- PostgreSQL takes the validated check's word, and looks at no row.

-- +goose Up
ALTER TABLE customers ALTER COLUMN segment SET NOT NULL, DROP CONSTRAINT customers_segment_check;

-- +goose Down
ALTER TABLE customers ALTER COLUMN segment DROP NOT NULL;
