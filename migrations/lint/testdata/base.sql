-- Tables in use, as the examples find them.

-- +goose Up
CREATE TABLE parents (
  tenant_id uuid NOT NULL,
  id        uuid NOT NULL,
  code      text,
  PRIMARY KEY (tenant_id, id)
);
SELECT protect_tenant_table('parents');
CREATE TABLE things (
  tenant_id uuid NOT NULL,
  id        uuid NOT NULL,
  parent_id uuid,
  name      text,
  size      int,
  note      text,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX things_name_idx ON things (tenant_id, name, id);
SELECT protect_tenant_table('things');

-- +goose Down
DROP TABLE things, parents;
