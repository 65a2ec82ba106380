-- file: 9002_add.sql
-- +goose Up
ALTER TABLE things ADD CONSTRAINT things_size_check CHECK (size > 0) NOT VALID;
-- file: 9003_validate.sql
-- +goose Up
ALTER TABLE things VALIDATE CONSTRAINT things_size_check;
