-- +goose Up
ALTER TABLE customers VALIDATE CONSTRAINT customers_segment_check;

-- +goose Down
