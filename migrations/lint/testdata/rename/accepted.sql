-- +goose Up
ALTER TABLE things ADD COLUMN title text;
ALTER INDEX things_name_idx RENAME TO things_by_name_idx;
