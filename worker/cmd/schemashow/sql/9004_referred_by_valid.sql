-- +goose Up
ALTER TABLE customers VALIDATE CONSTRAINT customers_referred_by_fkey;

-- +goose Down
