-- Outgoing webhooks: endpoints, what they are sent, and each attempt.

-- +goose Up

-- Readers claim the events that they are to tell of; those that nobody asked for are published when they are written.
-- lint: allow index-concurrently: before the first release, when no installation has rows
CREATE INDEX events_pending_idx ON events (tenant_id, id) WHERE state = 'pending';

CREATE TABLE webhook_endpoints (
  tenant_id              uuid        NOT NULL,
  id                     uuid        NOT NULL,
  url                    text        NOT NULL,
  description            text        NOT NULL,
  events                 text[]      NOT NULL,
  header_names           text[]      NOT NULL,
  headers_sealed         bytea       NOT NULL, -- names and values as a JSON object
  payload                text        NOT NULL CHECK (payload IN ('full', 'thin')),
  api_version            text        NOT NULL,
  filter                 jsonb       NOT NULL,
  rate_limit             int,
  rate_per               text        CHECK (rate_per IN ('second', 'minute', 'hour')),
  state                  text        NOT NULL CHECK (state IN ('enabled', 'paused', 'disabled')),
  disabled_reason        text,
  disabled_at            timestamptz,
  secret_sealed          bytea       NOT NULL,
  previous_secret_sealed bytea,
  previous_secret_until  timestamptz,
  version                bigint      NOT NULL,
  created_at             timestamptz NOT NULL,
  updated_at             timestamptz NOT NULL,
  deleted_at             timestamptz, -- its deliveries are still to be read; its secrets are wiped
  PRIMARY KEY (tenant_id, id)
);
SELECT protect_tenant_table('webhook_endpoints');
CREATE POLICY system ON webhook_endpoints TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (headers_sealed, secret_sealed, previous_secret_sealed) ON webhook_endpoints TO groundwork_system;

-- How an endpoint answers changes often, what it is does not.
CREATE TABLE webhook_endpoint_health (
  tenant_id            uuid        NOT NULL,
  endpoint_id          uuid        NOT NULL,
  consecutive_failures bigint      NOT NULL DEFAULT 0,
  failing_since        timestamptz,
  last_success_at      timestamptz,
  last_failure_at      timestamptz,
  open_until           timestamptz,
  trips                bigint      NOT NULL DEFAULT 0,
  probe_until          timestamptz,
  next_slot_at         timestamptz NOT NULL DEFAULT '-infinity', -- under the rate limit
  has_held             boolean     NOT NULL DEFAULT false, -- there may be deliveries that are held
  PRIMARY KEY (tenant_id, endpoint_id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoints (tenant_id, id)
) WITH (fillfactor = 50);
CREATE INDEX webhook_endpoint_health_held_idx ON webhook_endpoint_health (tenant_id, endpoint_id) WHERE has_held;
SELECT protect_tenant_table('webhook_endpoint_health');
CREATE POLICY system ON webhook_endpoint_health TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON webhook_endpoint_health TO groundwork_system;

-- Partial indexes go by columns that most updates leave alone, so that those stay within their page.
CREATE TABLE webhook_deliveries (
  tenant_id       uuid        NOT NULL,
  id              uuid        NOT NULL,
  endpoint_id     uuid        NOT NULL,
  event_id        uuid        NOT NULL,
  event_type      text        NOT NULL,
  state           text        NOT NULL CHECK (state IN ('pending', 'held', 'delivered', 'failed', 'cancelled')),
  cause           text        NOT NULL CHECK (cause IN ('event', 'test', 'replay')),
  cause_id        uuid, -- the replay's job
  attempts        int         NOT NULL DEFAULT 0,
  round           int         NOT NULL DEFAULT 0, -- attempts since it was made or redelivered
  job_id          uuid, -- the job that makes the next attempt
  next_attempt_at timestamptz,
  last_status     int,
  last_error      text,
  created_at      timestamptz NOT NULL,
  finished_at     timestamptz,
  is_held         boolean     NOT NULL GENERATED ALWAYS AS (state = 'held') STORED,
  has_failed      boolean     NOT NULL GENERATED ALWAYS AS (state IN ('failed', 'cancelled')) STORED,
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX webhook_deliveries_endpoint_idx ON webhook_deliveries (tenant_id, endpoint_id, id);
CREATE INDEX webhook_deliveries_event_idx ON webhook_deliveries (tenant_id, event_id);
CREATE INDEX webhook_deliveries_held_idx ON webhook_deliveries (tenant_id, endpoint_id, id) WHERE is_held;
CREATE INDEX webhook_deliveries_failed_idx ON webhook_deliveries (tenant_id, id) WHERE has_failed;
SELECT protect_tenant_table('webhook_deliveries');
CREATE POLICY system ON webhook_deliveries TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries TO groundwork_system;

-- An attempt lies in the partition of its delivery's day.
CREATE TABLE webhook_attempts (
  tenant_id        uuid        NOT NULL,
  delivery_id      uuid        NOT NULL,
  number           int         NOT NULL,
  at               timestamptz NOT NULL,
  duration_ms      bigint      NOT NULL,
  status           int,
  error            text,
  response_headers jsonb       NOT NULL,
  response_body    text        NOT NULL,
  is_cut           boolean     NOT NULL,
  PRIMARY KEY (tenant_id, delivery_id, number)
) PARTITION BY RANGE (delivery_id);
SELECT protect_tenant_table('webhook_attempts', 'SELECT, INSERT');

CREATE TABLE webhook_deliveries_default PARTITION OF webhook_deliveries DEFAULT WITH (fillfactor = 70);
ALTER TABLE webhook_deliveries_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON webhook_deliveries_default TO groundwork_owner USING (true) WITH CHECK (true);
CREATE TABLE webhook_attempts_default PARTITION OF webhook_attempts DEFAULT;
ALTER TABLE webhook_attempts_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON webhook_attempts_default TO groundwork_owner USING (true) WITH CHECK (true);

-- +goose StatementBegin
-- maintain_webhook_deliveries makes the partitions of deliveries and attempts for today and the days ahead, and drops
-- those of days of which nothing is kept any more. It answers how many it made and dropped.
CREATE FUNCTION maintain_webhook_deliveries(keep interval, days_ahead int DEFAULT 3, OUT made int, OUT dropped int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC'
SET lock_timeout = '3s' AS $$ -- whoever delivers waits behind it
DECLARE
  parent  text;
  options text;
  day     timestamptz;
  child   text;
BEGIN
  made := 0;
  dropped := 0;
  PERFORM pg_advisory_xact_lock(hashtextextended('maintain_webhook_deliveries', 0));
  FOREACH parent IN ARRAY ARRAY['webhook_deliveries', 'webhook_attempts'] LOOP
    options := CASE parent WHEN 'webhook_deliveries' THEN 'WITH (fillfactor = 70)' ELSE '' END;
    FOR n IN 0..days_ahead LOOP
      day := date_trunc('day', now()) + make_interval(days => n);
      child := parent || to_char(day, '_YYYYMMDD');
      CONTINUE WHEN to_regclass('public.' || child) IS NOT NULL;
      EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L) %s', child, parent,
        public.uuid7_floor(day), public.uuid7_floor(day + interval '1 day'), options);
      EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', child);
      EXECUTE format('CREATE POLICY owner ON public.%I TO groundwork_owner USING (true) WITH CHECK (true)', child);
      made := made + 1;
    END LOOP;
    FOR child IN
      SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = ('public.' || parent)::regclass AND c.relname ~ ('^' || parent || '_\d{8}$')
         AND to_date(right(c.relname, 8), 'YYYYMMDD') + 1 < now() - keep
    LOOP
      EXECUTE format('DROP TABLE public.%I', child);
      dropped := dropped + 1;
    END LOOP;
  END LOOP;
  DELETE FROM public.webhook_deliveries_default WHERE created_at < now() - keep;
  DELETE FROM public.webhook_attempts_default WHERE at < now() - keep;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION maintain_webhook_deliveries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION maintain_webhook_deliveries TO groundwork_system;
SELECT maintain_webhook_deliveries(interval '30 days');

-- +goose Down
DROP TABLE webhook_attempts, webhook_deliveries, webhook_endpoint_health, webhook_endpoints;
DROP FUNCTION maintain_webhook_deliveries;
DROP INDEX events_pending_idx;
