-- +goose Up
CREATE TABLE boxes (
  tenant_id uuid NOT NULL,
  id        uuid NOT NULL,
  parent_id uuid NOT NULL,
  code      text NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, parent_id) REFERENCES parents
);
CREATE UNIQUE INDEX boxes_code_key ON boxes (tenant_id, code);
SELECT protect_tenant_table('boxes');
CREATE TABLE hosts (id uuid PRIMARY KEY);
SELECT protect_control_table('hosts');
