-- +goose Up
ALTER TABLE things ADD COLUMN colour text NOT NULL DEFAULT 'grey';
ALTER TABLE things ADD COLUMN weight int;
