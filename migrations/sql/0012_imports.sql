-- How far imports have come. It moves in the transaction that keeps the rows, so that none is taken twice or left out,
-- whatever dies meanwhile.

-- +goose Up

CREATE TABLE imports (
  tenant_id  uuid        NOT NULL,
  id         uuid        NOT NULL,
  step       bigint      NOT NULL,
  state      json        NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 50);
CREATE INDEX imports_updated_at_idx ON imports (updated_at);
SELECT protect_tenant_table('imports', 'SELECT, INSERT, UPDATE');
CREATE POLICY system ON imports TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON imports TO groundwork_system;

-- The rows that each step refused, in their order.
CREATE TABLE import_failures (
  tenant_id uuid   NOT NULL,
  import_id uuid   NOT NULL,
  step      bigint NOT NULL,
  rows      json   NOT NULL,
  PRIMARY KEY (tenant_id, import_id, step),
  FOREIGN KEY (tenant_id, import_id) REFERENCES imports ON DELETE CASCADE
);
SELECT protect_tenant_table('import_failures', 'SELECT, INSERT');
CREATE POLICY system ON import_failures TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON import_failures TO groundwork_system;

-- +goose Down
DROP TABLE import_failures, imports;
