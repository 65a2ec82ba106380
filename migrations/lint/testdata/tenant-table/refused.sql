-- +goose Up
CREATE TABLE naked (tenant_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (tenant_id, id));
CREATE TABLE keyed (tenant_id uuid NOT NULL, id uuid PRIMARY KEY, parent_id uuid REFERENCES parents2, UNIQUE (id));
SELECT protect_tenant_table('keyed');
CREATE TABLE nobodys (id uuid PRIMARY KEY);
SELECT protect_tenant_table('nobodys');
CREATE UNIQUE INDEX keyed_id_key ON keyed (id);
ALTER TABLE things ADD CONSTRAINT things_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES parents2 NOT VALID;
