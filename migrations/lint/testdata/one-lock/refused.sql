-- +goose Up
ALTER TABLE things ADD COLUMN colour text;
ALTER TABLE parents ADD COLUMN colour text;
