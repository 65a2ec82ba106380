-- +goose Up
ALTER TABLE things
  ADD COLLUMN colour text;
