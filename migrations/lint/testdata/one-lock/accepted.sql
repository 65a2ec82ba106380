-- file: 9002_things.sql
-- +goose Up
ALTER TABLE things ADD COLUMN colour text;
-- file: 9003_parents.sql
-- +goose Up
ALTER TABLE parents ADD COLUMN colour text;
