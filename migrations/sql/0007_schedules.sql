-- Recurring work: where each tenant stands in each schedule, and which times were met. Times are those of the tenant's
-- wall, so that no change of clocks or zones meets one twice or leaves one out; next_at is when the next one falls due.

-- +goose Up

CREATE TABLE schedule_cursors (
  tenant_id uuid        NOT NULL,
  schedule  text        NOT NULL,
  next_time timestamp   NOT NULL, -- on the wall: the first that was not met
  next_at   timestamptz,          -- NULL for never, as of a suspended tenant
  rule      text        NOT NULL, -- what both were computed with
  time_zone text        NOT NULL,
  PRIMARY KEY (tenant_id, schedule)
) WITH (fillfactor = 80);
CREATE INDEX schedule_cursors_due_idx ON schedule_cursors (schedule, next_at);
SELECT protect_tenant_table('schedule_cursors', 'SELECT');
CREATE POLICY system ON schedule_cursors TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON schedule_cursors TO groundwork_system;

-- A time is met in the transaction that writes its row and its job: never twice.
CREATE TABLE schedule_times (
  tenant_id uuid        NOT NULL,
  schedule  text        NOT NULL,
  met       timestamp   NOT NULL, -- on the wall
  at        timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, schedule, met)
);
CREATE INDEX schedule_times_at_idx ON schedule_times (at);
SELECT protect_tenant_table('schedule_times', 'SELECT');
CREATE POLICY system ON schedule_times TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON schedule_times TO groundwork_system;

-- What has expired is removed by its time.
-- lint: allow index-concurrently: before the first release, when no installation has rows
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);

-- +goose Down
DROP INDEX refresh_tokens_expires_at_idx;
DROP TABLE schedule_times, schedule_cursors;
