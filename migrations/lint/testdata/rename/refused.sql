-- +goose Up
ALTER TABLE things RENAME COLUMN name TO title;
ALTER TABLE things RENAME TO stuff;
ALTER TABLE parents SET SCHEMA public;
