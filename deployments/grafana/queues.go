package main

func queuesBoard() board {
	const attempts = "rate(groundwork_jobs_attempts_total[$__rate_interval])"
	rate := func(metric, by string) string { return "sum by (" + by + ") (rate(" + metric + "[$__rate_interval]))" }
	return board{
		uid: "groundwork-queues", title: "queues", about: "Depth, age and throughput of queues, and the workers that serve them.",
		rows: []row{
			{"Now", []panel{
				{title: "Oldest waiting job", about: "Scale workers by this one.", kind: "stat", unit: "s", width: quarter, queries: []query{q("max(groundwork_jobs_oldest_pending_seconds)", "")}},
				{title: "Waiting", kind: "stat", unit: "short", width: quarter, queries: []query{q(`(sum(max by (queue) (groundwork_jobs_depth{state="pending"})) or vector(0))`, "")}},
				{title: "Dead", about: "They await a decision.", kind: "stat", unit: "short", width: quarter, queries: []query{q(`(sum(max by (queue) (groundwork_jobs_depth{state="dead"})) or vector(0))`, "")}},
				{title: "Workers that are up", kind: "stat", unit: "short", width: quarter, queries: []query{q(`sum(up{job="worker"})`, "")}},
			}},
			{"Depth and age", []panel{
				{title: "Age of the oldest waiting job", unit: "s", width: half, queries: []query{q("max by (queue) (groundwork_jobs_oldest_pending_seconds)", "{{queue}}")}},
				{title: "Waiting", unit: "short", width: half, queries: []query{q(`max by (queue) (groundwork_jobs_depth{state="pending"})`, "{{queue}}")}},
				{title: "All that is not over, by state", unit: "short", width: half, stacked: true, queries: []query{q("sum by (state) (max by (queue, state) (groundwork_jobs_depth))", "{{state}}")}},
				{title: "Dead", unit: "short", width: half, mayBeEmpty: true, queries: []query{q(`max by (queue) (groundwork_jobs_depth{state="dead"})`, "{{queue}}")}},
			}},
			{"Throughput", []panel{
				{title: "Attempts by queue", unit: "ops", width: third, stacked: true, queries: []query{q("sum by (queue) ("+attempts+")", "{{queue}}")}},
				{title: "Attempts by kind", unit: "ops", width: third, stacked: true, queries: []query{q("sum by (kind) ("+attempts+")", "{{kind}}")}},
				{title: "Attempts by outcome", unit: "ops", width: third, stacked: true, queries: []query{q("sum by (outcome) ("+attempts+")", "{{outcome}}")}},
				{title: "Wait, 95 % by queue", about: "From when a job could run to its start.", unit: "s", width: half, queries: []query{q(quantile(.95, "groundwork_jobs_wait_seconds", "", "queue"), "{{queue}}")}},
				{title: "Run, 95 % by kind", unit: "s", width: half, queries: []query{q(quantile(.95, "groundwork_jobs_run_seconds", "", "kind"), "{{kind}}")}},
			}},
			{"Workers", []panel{
				{title: "Jobs that run", about: "At the number of slots: add replicas.", unit: "short", width: third, queries: []query{q("sum by (queue) (groundwork_jobs_in_flight)", "{{queue}}")}},
				{title: "Jobs from Redis", unit: "ops", width: third, queries: []query{q(rate("groundwork_jobs_claims_total", "result"), "{{result}}")}},
				{title: "Leases lost and run out", about: "Workers that died or hung.", unit: "ops", width: third, mayBeEmpty: true, queries: []query{
					q(rate("groundwork_jobs_leases_lost_total", "queue"), "lost {{queue}}"), q(rate("groundwork_jobs_lease_expiries_total", "outcome"), "run out: {{outcome}}"),
				}},
			}},
			{"Scheduler", []panel{
				{title: "Handed over", unit: "ops", width: third, queries: []query{q(rate("groundwork_jobs_picked_total", "queue"), "{{queue}}")}},
				{title: "Time to hand over, 95 %", unit: "s", width: third, queries: []query{q(quantile(.95, "groundwork_jobs_pick_seconds", "", "queue"), "{{queue}}")}},
				{title: "In Redis' lists", unit: "short", width: third, queries: []query{q("max by (queue) (groundwork_jobs_list_length)", "{{queue}}")}},
				{title: "Promoted, recalled, swept", unit: "ops", width: third, mayBeEmpty: true, queries: []query{
					q("sum(rate(groundwork_jobs_promoted_total[$__rate_interval]))", "promoted"),
					q("sum(rate(groundwork_jobs_recalled_total[$__rate_interval]))", "recalled"),
					q("sum(rate(groundwork_jobs_swept_total[$__rate_interval]))", "swept"),
				}},
				{title: "Away, and losses of Redis", unit: "short", width: third, mayBeEmpty: true, queries: []query{
					q("max by (part) (groundwork_jobs_away)", "{{part}} away"), q("sum(increase(groundwork_jobs_redis_losses_total[$__rate_interval]))", "losses"),
				}},
				{title: "Schedules", unit: "s", width: third, mayBeEmpty: true, queries: []query{
					q(quantile(.95, "groundwork_schedules_lateness_seconds", "", ""), "lateness, 95 %"), q("sum(rate(groundwork_schedules_jobs_total[$__rate_interval]))", "jobs made").in("ops"),
				}},
			}},
			{"Webhooks that go out", []panel{
				{title: "Calls by what was answered", unit: "ops", width: quarter, stacked: true, mayBeEmpty: true, queries: []query{q(rate("groundwork_webhook_call_seconds_count", "answer"), "{{answer}}")}},
				{title: "Duration of calls", unit: "s", width: quarter, mayBeEmpty: true, queries: []query{
					q(quantile(.5, "groundwork_webhook_call_seconds", "", ""), "50 %"), q(quantile(.95, "groundwork_webhook_call_seconds", "", ""), "95 %"),
				}},
				{title: "Endpoints", about: "disabled: they failed for days, or somebody switched them off.", unit: "short", width: quarter, queries: []query{q("max by (state) (groundwork_webhook_endpoints)", "{{state}}")}},
				{title: "Fan-out", unit: "ops", width: quarter, queries: []query{
					q("sum(rate(groundwork_webhook_events_total[$__rate_interval]))", "events"),
					q("sum(rate(groundwork_webhook_released_total[$__rate_interval]))", "held deliveries let go"),
					q("sum(rate(groundwork_webhook_rounds_failed_total[$__rate_interval]))", "rounds that failed"),
				}},
			}},
		},
	}
}
