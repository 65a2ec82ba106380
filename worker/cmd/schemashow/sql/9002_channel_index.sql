-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_channel_idx ON customers (tenant_id, channel, id);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS customers_channel_idx;
