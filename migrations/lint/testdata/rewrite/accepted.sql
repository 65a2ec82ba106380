-- +goose Up
CREATE TABLE notes (
  tenant_id uuid NOT NULL,
  id        uuid NOT NULL,
  content   text NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
SELECT protect_tenant_table('notes');
SELECT make_searchable('notes', ARRAY['content']);
