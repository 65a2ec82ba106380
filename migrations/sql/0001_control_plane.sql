-- The control plane: what is looked up before the tenant is known. Its tables are seen only by a transaction that
-- says so (app.control = 'on'), which the store's narrow functions do; a tenant's own connection sees at most the
-- rows of its tenant.

-- +goose Up

-- +goose StatementBegin
-- control_is_open is true in a transaction that one of the store's control functions opened.
CREATE FUNCTION control_is_open() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN current_setting('app.control', true) = 'on';
-- +goose StatementEnd

-- +goose StatementBegin
-- current_tenant is the tenant of this transaction, or NULL: an unset setting reads '' after its first use.
CREATE FUNCTION current_tenant() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(current_setting('app.tenant_id', true), '')::uuid;
-- +goose StatementEnd

-- +goose StatementBegin
-- protect_tenant_table gives a table with a tenant_id what every such table has: forced row level security, the
-- owner's policy (without it migrations would see no rows), the tenant's policy, and the grants.
CREATE FUNCTION protect_tenant_table(target regclass, privileges text DEFAULT 'SELECT, INSERT, UPDATE, DELETE') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', target);
  EXECUTE format('CREATE POLICY owner ON %s TO groundwork_owner USING (true) WITH CHECK (true)', target);
  EXECUTE format('CREATE POLICY tenant ON %s TO groundwork_app, groundwork_worker
    USING (tenant_id = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid)', target);
  EXECUTE format('CREATE POLICY reporting ON %s FOR SELECT TO groundwork_reporting
    USING (tenant_id = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid)', target);
  EXECUTE format('GRANT %s ON %s TO groundwork_app, groundwork_worker', privileges, target);
  EXECUTE format('GRANT SELECT ON %s TO groundwork_reporting', target);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- protect_control_table gives a control table its forced row level security, policies and grants.
CREATE FUNCTION protect_control_table(target regclass) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', target);
  EXECUTE format('CREATE POLICY owner ON %s TO groundwork_owner USING (true) WITH CHECK (true)', target);
  EXECUTE format('CREATE POLICY control ON %s TO groundwork_app, groundwork_worker, groundwork_system
    USING (current_setting(''app.control'', true) = ''on'') WITH CHECK (current_setting(''app.control'', true) = ''on'')', target);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO groundwork_app, groundwork_worker, groundwork_system', target);
END $$;
-- +goose StatementEnd

CREATE TABLE tenants (
  id         uuid        PRIMARY KEY,
  name       text        NOT NULL CHECK (name <> ''),
  state      text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
  time_zone  text        NOT NULL DEFAULT 'UTC',
  version    bigint      NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
SELECT protect_control_table('tenants');
-- A tenant sees and changes its own row; its state is changed by operators only.
CREATE POLICY own ON tenants FOR SELECT TO groundwork_app, groundwork_worker USING (id = current_tenant());

CREATE TABLE users (
  id                uuid        PRIMARY KEY,
  email             text        NOT NULL CHECK (email = lower(email)),
  name              text        NOT NULL,
  password_hash     text        NOT NULL,
  state             text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
  email_verified_at timestamptz,
  version           bigint      NOT NULL DEFAULT 1,
  created_at        timestamptz NOT NULL,
  updated_at        timestamptz NOT NULL
);
CREATE UNIQUE INDEX users_email_key ON users (email);
SELECT protect_control_table('users');

-- The version moves whenever what the member may do moves; tokens carry it and check_access compares it.
CREATE TABLE memberships (
  tenant_id  uuid        NOT NULL REFERENCES tenants,
  user_id    uuid        NOT NULL REFERENCES users,
  role       text        NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
  version    bigint      NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX memberships_user_id_idx ON memberships (user_id);
SELECT protect_control_table('memberships');
CREATE POLICY tenant ON memberships TO groundwork_app, groundwork_worker
  USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
-- A tenant sees who its members are.
CREATE POLICY colleague ON users FOR SELECT TO groundwork_app, groundwork_worker
  USING (EXISTS (SELECT FROM memberships m WHERE m.tenant_id = current_tenant() AND m.user_id = users.id));

CREATE TABLE invitations (
  tenant_id   uuid        NOT NULL REFERENCES tenants,
  id          uuid        NOT NULL,
  email       text        NOT NULL CHECK (email = lower(email)),
  role        text        NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
  token_hash  bytea       NOT NULL,
  invited_by  uuid        REFERENCES users, -- NULL where a key did
  created_at  timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL,
  accepted_at timestamptz,
  revoked_at  timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX invitations_token_hash_key ON invitations (token_hash);
CREATE UNIQUE INDEX invitations_email_key ON invitations (tenant_id, email) WHERE accepted_at IS NULL AND revoked_at IS NULL;
SELECT protect_control_table('invitations');
CREATE POLICY tenant ON invitations TO groundwork_app, groundwork_worker
  USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

-- A session is a family of refresh tokens: one sign-in on one device.
CREATE TABLE sessions (
  id             uuid        PRIMARY KEY,
  user_id        uuid        NOT NULL REFERENCES users,
  tenant_id      uuid        NOT NULL REFERENCES tenants,
  user_agent     text        NOT NULL DEFAULT '',
  address        text        NOT NULL DEFAULT '',
  created_at     timestamptz NOT NULL,
  last_used_at   timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL,
  revoked_at     timestamptz,
  revoked_reason text
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
SELECT protect_control_table('sessions');

CREATE TABLE refresh_tokens (
  token_hash bytea       PRIMARY KEY,
  session_id uuid        NOT NULL REFERENCES sessions ON DELETE CASCADE,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at    timestamptz
);
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);
SELECT protect_control_table('refresh_tokens');

CREATE TABLE api_keys (
  tenant_id    uuid        NOT NULL REFERENCES tenants,
  id           uuid        NOT NULL,
  name         text        NOT NULL CHECK (name <> ''),
  prefix       text        NOT NULL,
  token_hash   bytea       NOT NULL,
  scopes       text[]      NOT NULL,
  created_by   uuid        NOT NULL,
  version      bigint      NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL,
  expires_at   timestamptz,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX api_keys_token_hash_key ON api_keys (token_hash);
SELECT protect_control_table('api_keys');
CREATE POLICY tenant ON api_keys TO groundwork_app, groundwork_worker
  USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

-- The private halves are sealed under the master key.
CREATE TABLE signing_keys (
  kid            text        PRIMARY KEY,
  public_key     bytea       NOT NULL,
  private_sealed bytea       NOT NULL,
  state          text        NOT NULL CHECK (state IN ('next', 'current', 'retiring')),
  created_at     timestamptz NOT NULL,
  state_since    timestamptz NOT NULL
);
CREATE UNIQUE INDEX signing_keys_current_key ON signing_keys (state) WHERE state = 'current';
SELECT protect_control_table('signing_keys');

-- +goose StatementBegin
-- check_access proves that what a token or key said still stands, in the round trip of the statement it precedes:
-- a membership taken away, a role changed, a session or key revoked stops that very statement.
CREATE FUNCTION check_access(actor_kind text, actor uuid, session uuid, version bigint) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  tenant       uuid := current_setting('app.tenant_id')::uuid;
  version_now  bigint;
  tenant_state text;
  alive        boolean;
BEGIN
  IF actor_kind = 'user' THEN
    SELECT m.version, t.state, s.revoked_at IS NULL AND s.expires_at > now()
      INTO version_now, tenant_state, alive
      FROM public.memberships m
      JOIN public.tenants t ON t.id = m.tenant_id
      JOIN public.sessions s ON s.id = check_access.session AND s.user_id = m.user_id AND s.tenant_id = m.tenant_id
     WHERE m.tenant_id = tenant AND m.user_id = actor;
  ELSIF actor_kind = 'api_key' THEN
    SELECT k.version, t.state, k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
      INTO version_now, tenant_state, alive
      FROM public.api_keys k
      JOIN public.tenants t ON t.id = k.tenant_id
     WHERE k.tenant_id = tenant AND k.id = actor;
  END IF;
  IF alive IS NOT TRUE THEN
    RAISE EXCEPTION 'access was revoked' USING ERRCODE = 'GW401';
  ELSIF tenant_state <> 'active' THEN
    RAISE EXCEPTION 'the tenant is suspended' USING ERRCODE = 'GW403';
  ELSIF version_now <> check_access.version THEN
    RAISE EXCEPTION 'access has changed' USING ERRCODE = 'GW402';
  END IF;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION check_access FROM PUBLIC;
GRANT EXECUTE ON FUNCTION check_access TO groundwork_app, groundwork_worker;

-- The reserved tenant owns what belongs to no tenant.
INSERT INTO tenants (id, name, state, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-000000000000', 'Groundwork', 'active', now(), now());

-- +goose Down
DROP FUNCTION check_access;
DROP TABLE signing_keys, api_keys, refresh_tokens, sessions, invitations;
DROP POLICY colleague ON users;
DROP TABLE memberships, users, tenants;
DROP FUNCTION protect_control_table, protect_tenant_table, current_tenant, control_is_open;
