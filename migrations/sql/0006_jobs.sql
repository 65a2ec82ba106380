-- Background work. jobs holds what waits, runs, or died and awaits a decision: it stays small, so that its statements
-- stay fast however many jobs have ended. What succeeded or was cancelled moves to jobs_finished in the statement that
-- ends it, and is dropped by the day.

-- +goose Up

CREATE TABLE jobs (
  tenant_id        uuid        NOT NULL,
  id               uuid        NOT NULL,
  kind             text        NOT NULL,
  queue            text        NOT NULL,
  state            text        NOT NULL CHECK (state IN ('scheduled', 'pending', 'dispatched', 'running', 'retrying', 'dead')),
  lane             uuid        NOT NULL, -- workers are shared fairly among lanes
  max_running      smallint    NOT NULL DEFAULT 0, -- of the lane in the queue; 0 is any number
  attempt          int         NOT NULL DEFAULT 0, -- the fencing token
  max_attempts     int         NOT NULL,
  tries            int         NOT NULL, -- how many attempts its kind gives, and a retry by hand gives again
  run_at           timestamptz NOT NULL,
  lease_until      timestamptz, -- dispatched: when it was handed over; running: until when the worker holds it
  created_at       timestamptz NOT NULL,
  started_at       timestamptz,
  finished_at      timestamptz, -- of a dead one
  worker           text        NOT NULL DEFAULT '',
  cancel_requested boolean     NOT NULL DEFAULT false,
  unique_key       text,
  key_until_start  boolean     NOT NULL DEFAULT false, -- the key is given up when the job starts
  request_id       text        NOT NULL DEFAULT '',
  args             json        NOT NULL DEFAULT '{}', -- as it was given: json keeps what jsonb refuses (\u0000) or rewrites
  progress         json,
  error            text,
  failures         jsonb       NOT NULL DEFAULT '[]',
  PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
-- Lanes are skipped through by (lane, max_running), so that jobs that wait for their lane's cap are not in the way of
-- those that have none.
CREATE INDEX jobs_pick_idx ON jobs (queue, lane, max_running, run_at, id) WHERE state = 'pending';
CREATE INDEX jobs_due_idx ON jobs (run_at) WHERE state IN ('scheduled', 'retrying');
CREATE INDEX jobs_lease_idx ON jobs (state, lease_until) WHERE state IN ('dispatched', 'running');
CREATE INDEX jobs_capped_idx ON jobs (queue, lane) WHERE state IN ('dispatched', 'running') AND max_running > 0;
CREATE INDEX jobs_dead_idx ON jobs (tenant_id, id) WHERE state = 'dead';
CREATE UNIQUE INDEX jobs_unique_key ON jobs (tenant_id, kind, unique_key) WHERE unique_key IS NOT NULL;
SELECT protect_tenant_table('jobs');
CREATE POLICY system ON jobs TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs TO groundwork_system;

CREATE TABLE jobs_finished (
  tenant_id        uuid        NOT NULL,
  id               uuid        NOT NULL,
  kind             text        NOT NULL,
  queue            text        NOT NULL,
  state            text        NOT NULL CHECK (state IN ('succeeded', 'cancelled')),
  attempt          int         NOT NULL,
  max_attempts     int         NOT NULL,
  run_at           timestamptz NOT NULL,
  created_at       timestamptz NOT NULL,
  started_at       timestamptz,
  finished_at      timestamptz NOT NULL,
  worker           text        NOT NULL,
  cancel_requested boolean     NOT NULL,
  request_id       text        NOT NULL,
  args             json        NOT NULL,
  progress         json,
  error            text,
  failures         jsonb       NOT NULL,
  result           json,
  PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
-- For operators, who list and find jobs of all tenants; and for the few that were cancelled among the many.
CREATE INDEX jobs_finished_id_idx ON jobs_finished (id);
CREATE INDEX jobs_finished_cancelled_idx ON jobs_finished (tenant_id, id) WHERE state = 'cancelled';
SELECT protect_tenant_table('jobs_finished');
CREATE POLICY system ON jobs_finished TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs_finished TO groundwork_system;

-- Jobs whose day has no partition (any more): those that waited for longer than ended ones are kept.
CREATE TABLE jobs_finished_default PARTITION OF jobs_finished DEFAULT;
ALTER TABLE jobs_finished_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON jobs_finished_default TO groundwork_owner USING (true) WITH CHECK (true);

-- The keys of jobs that are unique for a period, which outlive their jobs.
CREATE TABLE job_keys (
  tenant_id  uuid        NOT NULL,
  kind       text        NOT NULL,
  key        text        NOT NULL,
  job_id     uuid        NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, kind, key)
);
CREATE INDEX job_keys_expires_at_idx ON job_keys (expires_at);
SELECT protect_tenant_table('job_keys');
CREATE POLICY system ON job_keys TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON job_keys TO groundwork_system;

-- What jobs did outside of the database, so that another attempt does not do it again.
CREATE TABLE job_effects (
  tenant_id uuid        NOT NULL,
  job_id    uuid        NOT NULL,
  step      text        NOT NULL,
  at        timestamptz NOT NULL DEFAULT now(),
  outcome   json        NOT NULL,
  PRIMARY KEY (tenant_id, job_id, step)
);
CREATE INDEX job_effects_at_idx ON job_effects (at);
SELECT protect_tenant_table('job_effects');
CREATE POLICY system ON job_effects TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON job_effects TO groundwork_system;

-- What operators say of queues. A queue that is not named here runs.
CREATE TABLE job_queues (
  queue     text        PRIMARY KEY,
  paused_at timestamptz
);
SELECT protect_control_table('job_queues');

-- +goose StatementBegin
-- maintain_finished_jobs makes the partitions of jobs_finished for today and the days ahead, and drops those of days of
-- which nothing is kept any more. It answers how many it made and dropped.
CREATE FUNCTION maintain_finished_jobs(keep interval, days_ahead int DEFAULT 3, OUT made int, OUT dropped int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC'
SET lock_timeout = '3s' AS $$ -- whoever ends a job waits behind it
DECLARE
  day   timestamptz;
  child text;
BEGIN
  made := 0;
  dropped := 0;
  PERFORM pg_advisory_xact_lock(hashtextextended('maintain_finished_jobs', 0));
  FOR n IN 0..days_ahead LOOP
    day := date_trunc('day', now()) + make_interval(days => n);
    child := 'jobs_finished' || to_char(day, '_YYYYMMDD');
    CONTINUE WHEN to_regclass('public.' || child) IS NOT NULL;
    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.jobs_finished FOR VALUES FROM (%L) TO (%L)', child,
      public.uuid7_floor(day), public.uuid7_floor(day + interval '1 day'));
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', child);
    EXECUTE format('CREATE POLICY owner ON public.%I TO groundwork_owner USING (true) WITH CHECK (true)', child);
    made := made + 1;
  END LOOP;
  FOR child IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'public.jobs_finished'::regclass AND c.relname ~ '^jobs_finished_\d{8}$'
       AND to_date(right(c.relname, 8), 'YYYYMMDD') + 1 < now() - keep
  LOOP
    EXECUTE format('DROP TABLE public.%I', child);
    dropped := dropped + 1;
  END LOOP;
  DELETE FROM public.jobs_finished_default WHERE finished_at < now() - keep;
END $$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION maintain_finished_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION maintain_finished_jobs TO groundwork_system;
SELECT maintain_finished_jobs(interval '1 day');

-- +goose Down
DROP TABLE job_queues, job_effects, job_keys, jobs_finished, jobs;
DROP FUNCTION maintain_finished_jobs;
