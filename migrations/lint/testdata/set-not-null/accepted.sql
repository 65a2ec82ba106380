-- file: 9002_check.sql
-- +goose Up
ALTER TABLE things ADD CONSTRAINT things_name_check CHECK (name IS NOT NULL) NOT VALID;
-- file: 9003_validate.sql
-- +goose Up
ALTER TABLE things VALIDATE CONSTRAINT things_name_check;
-- file: 9004_set.sql
-- +goose Up
ALTER TABLE things ALTER COLUMN name SET NOT NULL;
ALTER TABLE things DROP CONSTRAINT things_name_check;
