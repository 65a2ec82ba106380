-- Connectors: sources whose records a tenant's own are kept in step with, how far that is, and what came from where.

-- +goose Up

CREATE TABLE connectors (
  tenant_id           uuid        NOT NULL,
  id                  uuid        NOT NULL,
  name                text        NOT NULL,
  kind                text        NOT NULL,
  resource            text        NOT NULL,
  url                 text        NOT NULL,
  auth_header         text,
  auth_sealed         bytea,
  settings            json        NOT NULL,
  by_field            text        NOT NULL,
  mapping             json        NOT NULL,
  schedule            json,
  requests_per_minute int         NOT NULL,
  delete_missing      boolean     NOT NULL,
  full_every_hours    int         NOT NULL,
  history             boolean     NOT NULL, -- who made the mapping may bring history in
  paused              boolean     NOT NULL,
  version             bigint      NOT NULL,
  created_at          timestamptz NOT NULL,
  updated_at          timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  CHECK ((auth_header IS NULL) = (auth_sealed IS NULL))
);
SELECT protect_tenant_table('connectors');
CREATE POLICY system ON connectors TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (auth_sealed) ON connectors TO groundwork_system;

-- How far a sync has come changes often, what a connector is does not.
CREATE TABLE connector_states (
  tenant_id    uuid   NOT NULL,
  connector_id uuid   NOT NULL,
  step         bigint NOT NULL DEFAULT 0,
  state        json   NOT NULL DEFAULT '{}',
  next_at      timestamptz, -- when it syncs next by itself; NULL for never
  PRIMARY KEY (tenant_id, connector_id),
  FOREIGN KEY (tenant_id, connector_id) REFERENCES connectors ON DELETE CASCADE
) WITH (fillfactor = 50);
CREATE INDEX connector_states_next_at_idx ON connector_states (next_at) WHERE next_at IS NOT NULL;
SELECT protect_tenant_table('connector_states');
CREATE POLICY system ON connector_states TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON connector_states TO groundwork_system;

-- What each connector has met, by which it knows what the source does not have any more.
CREATE TABLE connector_links (
  tenant_id    uuid   NOT NULL,
  connector_id uuid   NOT NULL,
  key          text   NOT NULL,
  record_id    uuid, -- NULL where no record came of it
  pass         bigint NOT NULL, -- the last pass that met it
  PRIMARY KEY (tenant_id, connector_id, key),
  FOREIGN KEY (tenant_id, connector_id) REFERENCES connectors ON DELETE CASCADE
) WITH (fillfactor = 80);
SELECT protect_tenant_table('connector_links');

-- +goose Down
DROP TABLE connector_links, connector_states, connectors;
