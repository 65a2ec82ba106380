-- Webhooks that others send: the addresses that they are sent to, and what was received.

-- +goose Up

CREATE TABLE webhook_sources (
  tenant_id    uuid        NOT NULL,
  id           uuid        NOT NULL,
  name         text        NOT NULL CHECK (name <> ''),
  provider     text        NOT NULL,
  settings     jsonb       NOT NULL,
  filter       text[]      NOT NULL DEFAULT '{}', -- of types; empty is all
  paused_at    timestamptz,
  token_sealed bytea       NOT NULL, -- the last part of its address, under the master key
  secrets      jsonb       NOT NULL, -- [{id, hint, created_at, sealed}], under the master key
  version      bigint      NOT NULL DEFAULT 1, -- intakes keep nothing by an older one
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
SELECT protect_tenant_table('webhook_sources');
CREATE POLICY system ON webhook_sources TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (token_sealed, secrets) ON webhook_sources TO groundwork_system;

-- +goose StatementBegin
-- list_webhook_sources returns sources of all tenants after one of them, for the system to seal them anew.
CREATE FUNCTION list_webhook_sources(after_tenant uuid, after_id uuid, most int) RETURNS SETOF webhook_sources
LANGUAGE sql STABLE AS $$
  SELECT * FROM webhook_sources s WHERE (s.tenant_id, s.id) > (after_tenant, after_id) ORDER BY s.tenant_id, s.id LIMIT most
$$;
-- +goose StatementEnd

-- The control plane's: which source a token is of, before the tenant is known.
CREATE TABLE intake_tokens (
  token_hash bytea PRIMARY KEY,
  tenant_id  uuid  NOT NULL,
  source_id  uuid  NOT NULL,
  expires_at timestamptz -- of one that was replaced
);
CREATE INDEX intake_tokens_source_idx ON intake_tokens (tenant_id, source_id);
SELECT protect_control_table('intake_tokens');
CREATE POLICY tenant ON intake_tokens TO groundwork_app, groundwork_worker
  USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

-- What was received. There is no foreign key to the source: it would be locked by each insert, and events outlive it.
CREATE TABLE inbound_events (
  tenant_id         uuid        NOT NULL,
  id                uuid        NOT NULL,
  source_id         uuid        NOT NULL,
  provider          text        NOT NULL,
  provider_event_id text, -- NULL for what did not verify: it keeps no other out
  type              text        NOT NULL,
  state             text        NOT NULL CHECK (state IN ('pending', 'held', 'processed', 'ignored', 'unhandled', 'failed', 'quarantined')),
  error             text,
  occurred_at       timestamptz,
  received_at       timestamptz NOT NULL,
  processed_at      timestamptz,
  attempts          bigint      NOT NULL DEFAULT 0,
  job_id            uuid,
  replay_id         uuid, -- the last replay that took it
  size              bigint      NOT NULL,
  request_id        text        NOT NULL DEFAULT '',
  headers           jsonb       NOT NULL,
  body              bytea       NOT NULL,
  PRIMARY KEY (tenant_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
-- A message that is sent twice is kept once.
CREATE UNIQUE INDEX inbound_events_provider_event_id_key ON inbound_events (tenant_id, source_id, provider_event_id);
CREATE INDEX inbound_events_source_idx ON inbound_events (tenant_id, source_id, id);
CREATE INDEX inbound_events_state_idx ON inbound_events (tenant_id, state, id)
  WHERE state IN ('held', 'ignored', 'unhandled', 'failed', 'quarantined');
CREATE INDEX inbound_events_received_at_idx ON inbound_events USING brin (received_at) WITH (pages_per_range = 16);
SELECT protect_tenant_table('inbound_events');
CREATE POLICY system ON inbound_events TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON inbound_events TO groundwork_system;

-- +goose StatementBegin
-- sweep_inbound_events removes up to so many events, of all tenants, that were received longer ago than they are kept,
-- quarantined ones sooner than others. It answers how many it removed; called by the system's role.
CREATE FUNCTION sweep_inbound_events(keep interval, keep_quarantined interval, most int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
  removed int;
BEGIN
  DELETE FROM inbound_events e USING (
    SELECT tenant_id, id FROM inbound_events
     WHERE received_at < now() - least(keep, keep_quarantined)
       AND (received_at < now() - keep OR state = 'quarantined' AND received_at < now() - keep_quarantined)
     LIMIT most
  ) old WHERE e.tenant_id = old.tenant_id AND e.id = old.id;
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION sweep_inbound_events, list_webhook_sources;
DROP TABLE inbound_events, intake_tokens, webhook_sources;
