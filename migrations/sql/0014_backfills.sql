-- How far the changes of rows have come that follow a migration: one row for each backfill that was started.

-- +goose Up

CREATE TABLE backfills (
  name        text        PRIMARY KEY,
  state       text        NOT NULL CHECK (state IN ('running', 'paused', 'done')),
  at_tenant   uuid        NOT NULL, -- where it is
  at_key      uuid,                 -- the last row of that tenant that was looked at; NULL before the first
  tenants     bigint      NOT NULL DEFAULT 0,
  looked      bigint      NOT NULL DEFAULT 0,
  changed     bigint      NOT NULL DEFAULT 0,
  expected    bigint      NOT NULL DEFAULT 0,
  error       text,
  started_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz
) WITH (fillfactor = 50);
SELECT protect_control_table('backfills');

-- +goose Down
DROP TABLE backfills;
