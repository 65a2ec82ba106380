-- +goose Up
CREATE TABLE customers (
  tenant_id  uuid        NOT NULL,
  id         uuid        NOT NULL,
  version    bigint      NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted_at timestamptz,
  code       text,
  name       text        NOT NULL,
  email      text,
  tags       text[]      NOT NULL DEFAULT '{}',
  custom     jsonb       NOT NULL DEFAULT '{}',
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX customers_code_key ON customers (tenant_id, code) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX customers_email_key ON customers (tenant_id, email) WHERE deleted_at IS NULL;
CREATE INDEX customers_name_idx ON customers (tenant_id, name, id);
CREATE INDEX customers_created_at_idx ON customers (tenant_id, created_at, id);
CREATE INDEX customers_updated_at_idx ON customers (tenant_id, updated_at, id);
CREATE INDEX customers_deleted_at_idx ON customers (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
SELECT protect_tenant_table('customers');

-- +goose Down
DROP TABLE customers;
