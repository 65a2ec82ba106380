-- A foreign key, for new rows first.

-- +goose Up
ALTER TABLE customers ADD CONSTRAINT customers_referred_by_fkey
  FOREIGN KEY (tenant_id, referred_by) REFERENCES customers (tenant_id, id) NOT VALID;

-- +goose Down
ALTER TABLE customers DROP CONSTRAINT customers_referred_by_fkey;
