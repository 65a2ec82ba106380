-- +goose Up
UPDATE things SET name = '' WHERE name IS NULL;
DELETE FROM things WHERE note = '';
INSERT INTO parents (tenant_id, id) SELECT tenant_id, id FROM things;
WITH gone AS (DELETE FROM things RETURNING id) SELECT id FROM gone;
