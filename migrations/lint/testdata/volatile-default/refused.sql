-- +goose Up
ALTER TABLE things ADD COLUMN token uuid DEFAULT gen_random_uuid();
ALTER TABLE things ADD COLUMN number bigserial;
ALTER TABLE things ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY;
