-- +goose Up

-- Numbers that are given in turn, by tenant and what they number.
CREATE TABLE sequences (
  tenant_id uuid   NOT NULL,
  name      text   NOT NULL,
  value     bigint NOT NULL,
  PRIMARY KEY (tenant_id, name)
);
SELECT protect_tenant_table('sequences');

-- +goose StatementBegin
-- require_live refuses a reference to a record that is in the trash, as a foreign key refuses one to a record that is
-- not there.
CREATE FUNCTION require_live(is_live boolean, constraint_name text, table_name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF is_live IS NOT TRUE THEN
    RAISE EXCEPTION 'the record that is referred to is not there'
      USING ERRCODE = 'foreign_key_violation', CONSTRAINT = constraint_name, TABLE = table_name;
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- next_numbers returns the next numbers of a sequence, in turn and past those that a live record has already: given by
-- hand, or imported. Who asks at the same time waits until the one before has committed.
CREATE FUNCTION next_numbers(of_tenant uuid, of_table text, of_column text, wanted bigint) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
  sequence text   := of_table || '.' || of_column;
  ahead    bigint := wanted;
  last     bigint;
  free     bigint[];
BEGIN
  INSERT INTO sequences AS s (tenant_id, name, value) VALUES (of_tenant, sequence, wanted)
  ON CONFLICT (tenant_id, name) DO UPDATE SET value = s.value + wanted RETURNING value - wanted INTO last;
  LOOP
    -- The cast stands apart: it is not leakproof, and under row level security no index would be asked with it.
    EXECUTE format('SELECT array(SELECT n FROM
        (SELECT g AS n, g::text AS number FROM generate_series($2 + 1, $2 + $3) g OFFSET 0) candidate
      WHERE NOT EXISTS (
        SELECT FROM %I r WHERE r.tenant_id = $1 AND r.%I = candidate.number AND r.deleted_at IS NULL) ORDER BY n LIMIT $4)',
      of_table, of_column) INTO free USING of_tenant, last, ahead, wanted;
    EXIT WHEN cardinality(free) = wanted;
    ahead := ahead * 2;
  END LOOP;
  IF free[wanted] > last + wanted THEN
    UPDATE sequences s SET value = free[wanted] WHERE s.tenant_id = of_tenant AND s.name = sequence;
  END IF;
  RETURN free;
END $$;
-- +goose StatementEnd

-- An order's lines are part of it: they are read and written with it, and stand in no table of their own.
CREATE TABLE orders (
  tenant_id    uuid        NOT NULL,
  id           uuid        NOT NULL,
  version      bigint      NOT NULL,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL,
  deleted_at   timestamptz,
  customer_id  uuid        NOT NULL,
  number       text        NOT NULL,
  currency     text        NOT NULL,
  status       text        NOT NULL,
  placed_at    timestamptz,
  paid_at      timestamptz,
  shipped_at   timestamptz,
  cancelled_at timestamptz,
  note         text        NOT NULL DEFAULT '',
  total_cents  bigint      NOT NULL,
  lines        jsonb       NOT NULL,
  tags         text[]      NOT NULL DEFAULT '{}',
  custom       jsonb       NOT NULL DEFAULT '{}',
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT orders_customer_id_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);
CREATE UNIQUE INDEX orders_number_key ON orders (tenant_id, number) WHERE deleted_at IS NULL;
CREATE INDEX orders_customer_id_idx ON orders (tenant_id, customer_id, id);
CREATE INDEX orders_status_idx ON orders (tenant_id, status, id);
CREATE INDEX orders_placed_at_idx ON orders (tenant_id, greatest(placed_at, '-infinity'), id);
CREATE INDEX orders_total_cents_idx ON orders (tenant_id, total_cents, id);
CREATE INDEX orders_created_at_idx ON orders (tenant_id, created_at, id);
CREATE INDEX orders_updated_at_idx ON orders (tenant_id, updated_at, id);
CREATE INDEX orders_deleted_at_idx ON orders (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
SELECT protect_tenant_table('orders');

-- +goose Down
DROP TABLE orders;
DROP FUNCTION next_numbers, require_live;
DROP TABLE sequences;
