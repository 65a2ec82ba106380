-- file: 9002_check.sql
-- +goose Up
ALTER TABLE things ADD CONSTRAINT things_note_check CHECK (note IS NOT NULL) NOT VALID;
-- file: 9003_validate.sql
-- +goose Up
ALTER TABLE things VALIDATE CONSTRAINT things_note_check;
-- file: 9004_example.sql
-- +goose Up
ALTER TABLE things ALTER COLUMN name SET NOT NULL;
ALTER TABLE things ALTER COLUMN note SET NOT NULL, DROP CONSTRAINT things_note_check;
