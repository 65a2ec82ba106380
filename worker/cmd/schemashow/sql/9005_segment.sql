-- NOT NULL: a check that new rows have to pass. The column has a default for the release before, which does not know it.

-- +goose Up
ALTER TABLE customers ADD CONSTRAINT customers_segment_check CHECK (segment IS NOT NULL) NOT VALID;

-- +goose Down
ALTER TABLE customers DROP CONSTRAINT customers_segment_check;
