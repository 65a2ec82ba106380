-- +goose Up
ALTER TABLE things ADD CONSTRAINT things_size_check CHECK (size > 0) NOT VALID;
ALTER TABLE things VALIDATE CONSTRAINT things_size_check;
