package survey

import "github.com/prometheus/client_golang/prometheus"

// The metrics' names. docs/metrics.md says what each is for.
const (
	DatabaseBytes          = "groundwork_database_bytes"
	DatabaseConnections    = "groundwork_database_connections"
	DatabaseConnectionsMax = "groundwork_database_connections_max"
	DatabaseTransactions   = "groundwork_database_transactions_total"
	DatabaseBlocks         = "groundwork_database_blocks_total"
	DatabaseDeadlocks      = "groundwork_database_deadlocks_total"
	DatabaseTempBytes      = "groundwork_database_temp_bytes_total"
	TableBytes             = "groundwork_table_bytes"
	TableRows              = "groundwork_table_rows"
	RedisUsedBytes         = "groundwork_redis_used_bytes"
	RedisMaxBytes          = "groundwork_redis_max_bytes"
	RedisClients           = "groundwork_redis_clients"
	RedisCommands          = "groundwork_redis_commands_total"
	RedisEvicted           = "groundwork_redis_evicted_total"
	RedisRejected          = "groundwork_redis_rejected_total"
	WebhookEndpoints       = "groundwork_webhook_endpoints"
	TenantUse              = "groundwork_tenant_use"
)

type measure struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
}

func measures() []measure {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return []measure{
		{DatabaseBytes, "Size of the database on disk.", gauge, nil},
		{DatabaseConnections, "Connections to the PostgreSQL server, of all its clients.", gauge, nil},
		{DatabaseConnectionsMax, "The most connections that the server takes.", gauge, nil},
		{DatabaseTransactions, "Transactions, by how they ended: commit or rollback.", counter, []string{"end"}},
		{DatabaseBlocks, "Blocks that were found in PostgreSQL's memory (hit) or asked of the system (read).", counter, []string{"from"}},
		{DatabaseDeadlocks, "Deadlocks.", counter, nil},
		{DatabaseTempBytes, "Bytes that sorts and hashes wrote which did not fit into memory.", counter, nil},
		{TableBytes, "Size of a table with its partitions and indexes.", gauge, []string{"table"}},
		{TableRows, "Rows of a table as estimated: live, or dead and not yet cleaned up.", gauge, []string{"table", "state"}},
		{RedisUsedBytes, "Memory that Redis uses.", gauge, nil},
		{RedisMaxBytes, "The most memory that Redis may use; 0 is no bound.", gauge, nil},
		{RedisClients, "Connections to Redis, of all its clients.", gauge, nil},
		{RedisCommands, "Commands that Redis has done.", counter, nil},
		{RedisEvicted, "Keys that Redis threw out for want of memory.", counter, nil},
		{RedisRejected, "Connections that Redis refused.", counter, nil},
		{WebhookEndpoints, "Webhook endpoints that are not deleted, by state.", gauge, []string{"state"}},
		{TenantUse, "What the ten organizations use that use most of it, by measure.", gauge, []string{"measure", "tenant"}},
	}
}
