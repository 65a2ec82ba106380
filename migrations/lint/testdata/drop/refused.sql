-- +goose Up
ALTER TABLE things DROP COLUMN note;
DROP TABLE things;
DROP FUNCTION current_tenant;
