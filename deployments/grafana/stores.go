package main

func storesBoard() board {
	const took = "db_statement_seconds"
	most := func(metric string) string { return "max(" + metric + ")" }
	// The survey is made by each scheduler: of counters the one that is asked most often counts.
	rate := func(metric, by string) string { return "max by (" + by + ") (rate(" + metric + "[$__rate_interval]))" }
	return board{
		uid: "groundwork-database-and-redis", title: "database and Redis", about: "What processes see of PostgreSQL and Redis, and what both say of themselves.",
		rows: []row{
			{"Now", []panel{
				{title: "Connections to PostgreSQL", about: "Of those that it takes.", kind: "stat", unit: "percentunit", width: quarter, queries: []query{q("max(groundwork_database_connections) / max(groundwork_database_connections_max)", "")}},
				{title: "95 % of statements within", kind: "stat", unit: "s", width: quarter, queries: []query{q(quantile(.95, took, "", ""), "")}},
				{title: "Size of the database", kind: "stat", unit: "bytes", width: quarter, queries: []query{q(most("groundwork_database_bytes"), "")}},
				{title: "Memory of Redis", kind: "stat", unit: "bytes", width: quarter, queries: []query{q(most("groundwork_redis_used_bytes"), "")}},
			}},
			{"Pools of the processes", []panel{
				{title: "Connections in use", about: "At 1 a pool is used up, and requests wait.", unit: "percentunit", width: third, queries: []query{q("db_pool_connections_in_use / (db_pool_connections_max > 0)", "{{job}} {{instance}} {{pool}}")}},
				{title: "Connections that are open", unit: "short", width: third, stacked: true, queries: []query{q("sum by (job, pool) (db_pool_connections_open)", "{{job}} {{pool}}")}},
				{title: "Waiting for a connection", about: "Seconds waited a second, by all that wait.", unit: "s", width: third, queries: []query{q("sum by (job, pool) (rate(db_pool_wait_seconds_total[$__rate_interval]))", "{{job}} {{pool}}")}},
			}},
			{"Statements", []panel{
				{title: "Statements", unit: "ops", width: third, stacked: true, queries: []query{q("sum by (job) (rate(db_statement_seconds_count[$__rate_interval]))", "{{job}}")}},
				{title: "Duration", unit: "s", width: third, queries: []query{q(quantile(.5, took, "", ""), "50 %"), q(quantile(.95, took, "", ""), "95 %"), q(quantile(.99, took, "", ""), "99 %")}},
				{title: "Longer than 0.5 s", about: "Each is a line in the log: slow statement.", unit: "ops", width: third, queries: []query{
					q(`sum by (job) (rate(db_statement_seconds_count[$__rate_interval])) - sum by (job) (rate(db_statement_seconds_bucket{le="0.5"}[$__rate_interval]))`, "{{job}}"),
				}},
			}},
			{"PostgreSQL", []panel{
				{title: "Connections", unit: "short", width: third, queries: []query{q(most("groundwork_database_connections"), "open"), q(most("groundwork_database_connections_max"), "most")}},
				{title: "Transactions", unit: "ops", width: third, queries: []query{q(rate("groundwork_database_transactions_total", "end"), "{{end}}")}},
				{title: "Found in memory", about: "Below 99 % for long: more memory, or an index is missing.", unit: "percentunit", width: third, queries: []query{
					q(`max(rate(groundwork_database_blocks_total{from="hit"}[$__rate_interval])) / (max(rate(groundwork_database_blocks_total{from="hit"}[$__rate_interval])) + max(rate(groundwork_database_blocks_total{from="read"}[$__rate_interval])))`, "hits"),
				}},
				{title: "Largest tables", unit: "bytes", width: third, queries: []query{q("topk(10, max by (table) (groundwork_table_bytes))", "{{table}}")}},
				{title: "Dead rows", about: "Grow where autovacuum is held up: by a long transaction, mostly.", unit: "short", width: third, queries: []query{q(`topk(10, max by (table) (groundwork_table_rows{state="dead"}))`, "{{table}}")}},
				{title: "Deadlocks, and what did not fit into memory", unit: "ops", width: third, queries: []query{
					q("max(rate(groundwork_database_deadlocks_total[$__rate_interval]))", "deadlocks"), q("max(rate(groundwork_database_temp_bytes_total[$__rate_interval]))", "written to disk").in("Bps"),
				}},
			}},
			{"Redis", []panel{
				{title: "Memory", about: "Nothing may be evicted: a full Redis refuses writes, and queues stand still.", unit: "bytes", width: third, queries: []query{
					q(most("groundwork_redis_used_bytes"), "used"), q(most("groundwork_redis_max_bytes"), "most (0: no bound)"),
				}},
				{title: "Commands", unit: "ops", width: third, queries: []query{q("max(rate(groundwork_redis_commands_total[$__rate_interval]))", "commands")}},
				{title: "Clients", unit: "short", width: third, queries: []query{q(most("groundwork_redis_clients"), "clients")}},
				{title: "Pools of the processes", unit: "short", width: third, queries: []query{
					q("sum by (job, pool) (redis_pool_connections_open) - sum by (job, pool) (redis_pool_connections_idle)", "{{job}} {{pool}} in use"),
				}},
				{title: "Evicted keys, refused connections", about: "Must be 0.", unit: "ops", width: third, queries: []query{
					q("max(rate(groundwork_redis_evicted_total[$__rate_interval]))", "evicted"), q("max(rate(groundwork_redis_rejected_total[$__rate_interval]))", "refused"),
				}},
				{title: "Limits are shared", about: "0: a process limits by itself, since Redis is away.", unit: "short", width: third, queries: []query{q("min by (job, instance) (groundwork_limiter_shared)", "{{job}} {{instance}}")}},
			}},
		},
	}
}
