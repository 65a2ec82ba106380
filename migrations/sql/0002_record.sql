-- What is written beside every change, in its transaction: the audit entry for people, the event for machines, and
-- the answer kept for a repeated request.

-- No tenant table refers to tenants: the foreign key would lock the tenant's row on each insert (multixacts under
-- load), and a tenant's data may one day live in another database than the control plane.

-- +goose Up

-- +goose StatementBegin
-- uuid7_floor is the smallest UUIDv7 of a moment, so that tables can be partitioned by time through their id.
CREATE FUNCTION uuid7_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
-- +goose StatementEnd

CREATE TABLE audit_events (
  tenant_id   uuid        NOT NULL,
  id          uuid        NOT NULL,
  at          timestamptz NOT NULL,
  actor_kind  text        NOT NULL,
  actor_id    uuid,
  request_id  text        NOT NULL DEFAULT '',
  action      text        NOT NULL,
  resource    text        NOT NULL,
  resource_id uuid        NOT NULL,
  version     bigint      NOT NULL DEFAULT 0,
  changes     jsonb       NOT NULL DEFAULT '[]',
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX audit_events_resource_idx ON audit_events (tenant_id, resource, resource_id, id);
SELECT protect_tenant_table('audit_events', 'SELECT, INSERT');

-- An event is claimed by its state, never by "id greater than the last": commits are unordered.
CREATE TABLE events (
  tenant_id   uuid        NOT NULL,
  id          uuid        NOT NULL,
  at          timestamptz NOT NULL,
  type        text        NOT NULL,
  resource    text        NOT NULL,
  resource_id uuid        NOT NULL,
  version     bigint      NOT NULL,
  request_id  text        NOT NULL DEFAULT '',
  data        jsonb       NOT NULL,
  state       text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'published')),
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
SELECT protect_tenant_table('events', 'SELECT, INSERT');
CREATE POLICY system ON events TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE, DELETE ON events TO groundwork_system;

CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- +goose StatementBegin
-- ensure_partitions makes the monthly partitions of the audit and of the events from this month to so many months
-- ahead. It is safe to run at any time and from several places at once. Rows with no partition of their own go to
-- the default one.
CREATE FUNCTION ensure_partitions(months_ahead int DEFAULT 3) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  parent text;
  month  timestamptz;
  child  text;
  made   int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ensure_partitions', 0));
  FOREACH parent IN ARRAY ARRAY['audit_events', 'events'] LOOP
    FOR n IN 0..months_ahead LOOP
      month := date_trunc('month', now()) + make_interval(months => n);
      child := parent || to_char(month, '_YYYYMM');
      CONTINUE WHEN to_regclass('public.' || child) IS NOT NULL;
      EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)', child, parent,
        public.uuid7_floor(month), public.uuid7_floor(month + interval '1 month'));
      -- Reached through its parent only, and still forced, so that no later grant opens it by mistake.
      EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', child);
      EXECUTE format('CREATE POLICY owner ON public.%I TO groundwork_owner USING (true) WITH CHECK (true)', child);
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION ensure_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partitions TO groundwork_system;
SELECT ensure_partitions();
ALTER TABLE audit_events_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON audit_events_default TO groundwork_owner USING (true) WITH CHECK (true);
ALTER TABLE events_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON events_default TO groundwork_owner USING (true) WITH CHECK (true);

-- The digest covers who asked, the route and the key. The row is written in the transaction of the effect.
CREATE TABLE idempotency_keys (
  tenant_id      uuid        NOT NULL,
  digest         bytea       NOT NULL,
  request_digest bytea       NOT NULL,
  status         int         NOT NULL,
  header         jsonb       NOT NULL DEFAULT '{}',
  body           bytea       NOT NULL DEFAULT '',
  is_secret      boolean     NOT NULL DEFAULT false,
  created_at     timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);
SELECT protect_tenant_table('idempotency_keys');
CREATE POLICY system ON idempotency_keys TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON idempotency_keys TO groundwork_system;

-- +goose Down
DROP TABLE idempotency_keys, events, audit_events;
DROP FUNCTION ensure_partitions, uuid7_floor;
