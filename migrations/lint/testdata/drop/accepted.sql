-- +goose Up
-- contract: 1.4.0
ALTER TABLE things DROP COLUMN note;
