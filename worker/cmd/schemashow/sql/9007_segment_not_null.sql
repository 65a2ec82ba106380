-- PostgreSQL takes the validated check's word, and looks at no row. In one statement the check would be dropped first,
-- and every row looked at while nobody can read the table.

-- +goose Up
ALTER TABLE customers ALTER COLUMN segment SET NOT NULL;
ALTER TABLE customers DROP CONSTRAINT customers_segment_check;

-- +goose Down
ALTER TABLE customers ALTER COLUMN segment DROP NOT NULL;
