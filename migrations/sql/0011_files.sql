-- What is known of files. Their contents are kept elsewhere, under a key that is made of the tenant's id and the file's.

-- +goose Up

CREATE TABLE files (
  tenant_id    uuid        NOT NULL,
  id           uuid        NOT NULL,
  name         text        NOT NULL CHECK (name <> '' AND octet_length(name) <= 255),
  size         bigint      NOT NULL CHECK (size >= 0),
  content_type text        NOT NULL,
  sha256       text        NOT NULL CHECK (length(sha256) = 64),
  purpose      text        NOT NULL CHECK (purpose <> ''),
  created_by   uuid,
  version      bigint      NOT NULL,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL,
  deleted_at   timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX files_purpose_idx ON files (tenant_id, purpose, id);
CREATE INDEX files_content_type_idx ON files (tenant_id, content_type, id);
CREATE INDEX files_trash_idx ON files (tenant_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX files_deleted_at_idx ON files (deleted_at) WHERE deleted_at IS NOT NULL;
SELECT protect_tenant_table('files');
CREATE POLICY system ON files TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON files TO groundwork_system;
GRANT UPDATE (version) ON files TO groundwork_system; -- to lock a row

-- How much each tenant keeps, the trash with it. It moves in the transaction that makes or purges a file.
CREATE TABLE file_usage (
  tenant_id uuid   NOT NULL,
  bytes     bigint NOT NULL CHECK (bytes >= 0),
  files     bigint NOT NULL CHECK (files >= 0),
  PRIMARY KEY (tenant_id)
) WITH (fillfactor = 50);
SELECT protect_tenant_table('file_usage', 'SELECT, INSERT, UPDATE');
CREATE POLICY system ON file_usage TO groundwork_system USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON file_usage TO groundwork_system;

-- A purge is audited, and it is the system that purges.
CREATE POLICY system ON audit_events FOR INSERT TO groundwork_system WITH CHECK (true);
GRANT INSERT ON audit_events TO groundwork_system;

-- +goose StatementBegin
-- due_files are files of any tenant that went to the trash before a time, the oldest first. It sees what its caller may:
-- all of them as the system, one tenant's as others.
CREATE FUNCTION due_files(before timestamptz, most int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE AS $$
  SELECT f.tenant_id, f.id FROM files f WHERE f.deleted_at < before ORDER BY f.deleted_at LIMIT most
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION due_files;
REVOKE INSERT ON audit_events FROM groundwork_system;
DROP POLICY system ON audit_events;
DROP TABLE file_usage, files;
