-- +goose Up
ALTER TABLE things ALTER COLUMN size TYPE bigint;
