-- +goose Up
SELECT make_searchable('things', ARRAY['name']);
ALTER TABLE things SET UNLOGGED;
LOCK TABLE things;
