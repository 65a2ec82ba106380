-- Reports: what was true of a tenant's day, kept as data by kind, day and version, and who is sent them when.

-- +goose Up

-- A version is never changed, but for being superseded by the next one.
CREATE TABLE reports (
  tenant_id     uuid        NOT NULL,
  id            uuid        NOT NULL,
  kind          text        NOT NULL CHECK (kind <> ''),
  day           date        NOT NULL, -- in the tenant's time zone
  version       int         NOT NULL CHECK (version >= 1),
  time_zone     text        NOT NULL, -- the one that the day was counted in
  starts_at     timestamptz NOT NULL,
  ends_at       timestamptz NOT NULL,
  as_of         timestamptz NOT NULL, -- when the figures were read: what is read later wins
  data          json        NOT NULL,
  changes       json        NOT NULL, -- what differs from the version before
  created_at    timestamptz NOT NULL,
  superseded_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX reports_version_key ON reports (tenant_id, kind, day, version);
CREATE INDEX reports_day_idx ON reports (tenant_id, day, id);
CREATE INDEX reports_expired_idx ON reports (created_at);
SELECT protect_tenant_table('reports', 'SELECT, INSERT');
GRANT UPDATE (superseded_at) ON reports TO groundwork_app, groundwork_worker;
CREATE POLICY system ON reports TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON reports TO groundwork_system;

-- One of a kind is the default, which every tenant begins with. It is made when it is first needed, and once: a default
-- that was deleted stays deleted.
CREATE TABLE report_schedules (
  tenant_id   uuid        NOT NULL,
  id          uuid        NOT NULL,
  kind        text        NOT NULL CHECK (kind <> ''),
  is_default  boolean     NOT NULL DEFAULT false,
  local_time  text        NOT NULL CHECK (local_time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
  subscribers uuid[]      NOT NULL DEFAULT '{}',
  formats     text[]      NOT NULL DEFAULT '{}',
  enabled     boolean     NOT NULL DEFAULT true,
  version     bigint      NOT NULL,
  created_at  timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL,
  deleted_at  timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX report_schedules_default_key ON report_schedules (tenant_id, kind) WHERE is_default;
SELECT protect_tenant_table('report_schedules', 'SELECT, INSERT, UPDATE');

-- +goose Down
DROP TABLE report_schedules, reports;
