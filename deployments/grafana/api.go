package main

func apiBoard() board {
	const requests = `rate(http_requests_total{job="api"}[$__rate_interval])`
	const failed = `rate(http_requests_total{job="api",status=~"5.."}[$__rate_interval])`
	share := "(sum(" + failed + ") or vector(0)) / sum(" + requests + ")"
	const seconds, ofAPI = "http_request_duration_seconds", `{job="api"}`
	return board{
		uid: "groundwork-api", title: "API", about: "Rate, errors and duration of requests, and what they ask of the database.",
		rows: []row{
			{"Now", []panel{
				{title: "Requests", kind: "stat", unit: "reqps", width: quarter, queries: []query{q("sum("+requests+")", "")}},
				{title: "Answered with 5xx", kind: "stat", unit: "percentunit", width: quarter, queries: []query{q(share, "")}},
				{title: "95 % are answered within", kind: "stat", unit: "s", width: quarter, queries: []query{q(quantile(.95, seconds, ofAPI, ""), "")}},
				{
					title: "Statements of a request", kind: "stat", unit: "short", width: quarter,
					queries: []query{q(`sum(rate(http_request_statements_total{job="api"}[$__rate_interval])) / sum(`+requests+")", "")},
				},
			}},
			{"Rate", []panel{
				{title: "Requests by route", unit: "reqps", width: half, stacked: true, queries: []query{q("sum by (method, route) ("+requests+")", "{{method}} {{route}}")}},
				{title: "Requests by status", unit: "reqps", width: half, stacked: true, queries: []query{q("sum by (status) ("+requests+")", "{{status}}")}},
				{title: "Requests by replica", unit: "reqps", width: half, queries: []query{q("sum by (instance) ("+requests+")", "{{instance}}")}},
				{title: "Being answered", about: "Grows where answers slow down.", unit: "short", width: half, queries: []query{q(`sum by (instance) (http_requests_in_flight{job="api"})`, "{{instance}}")}},
			}},
			{"Errors", []panel{
				{title: "Share of 5xx", about: "The objective is 0.1 %: see the alert ApiErrors.", unit: "percentunit", width: third, queries: []query{q(share, "5xx")}},
				{title: "5xx by route", unit: "reqps", width: third, mayBeEmpty: true, queries: []query{q("sum by (method, route, status) ("+failed+")", "{{status}} {{method}} {{route}}")}},
				{title: "4xx by status", about: "429 are limits, 401 and 403 credentials.", unit: "reqps", width: third, mayBeEmpty: true, queries: []query{
					q(`sum by (status) (rate(http_requests_total{job="api",status=~"4.."}[$__rate_interval]))`, "{{status}}"),
				}},
			}},
			{"Duration", []panel{
				{title: "All requests", unit: "s", width: half, queries: []query{
					q(quantile(.5, seconds, ofAPI, ""), "50 %"), q(quantile(.95, seconds, ofAPI, ""), "95 %"), q(quantile(.99, seconds, ofAPI, ""), "99 %"),
				}},
				{title: "95 % by route", unit: "s", width: half, queries: []query{q(quantile(.95, seconds, ofAPI, "method, route"), "{{method}} {{route}}")}},
			}},
			{"Database", []panel{
				{
					title: "Statements of a request, by route", about: "Does not grow with the number of records. One that does asks once a record.", unit: "short", width: half,
					queries: []query{q(`sum by (method, route) (rate(http_request_statements_total{job="api"}[$__rate_interval])) / (sum by (method, route) (`+requests+") > 0)", "{{method}} {{route}}")},
				},
				{title: "Statements, by route", unit: "ops", width: half, stacked: true, queries: []query{q(`sum by (method, route) (rate(http_request_statements_total{job="api"}[$__rate_interval]))`, "{{method}} {{route}}")}},
			}},
			{"Webhooks that come in", []panel{
				{title: "Messages by what became of them", unit: "reqps", width: half, stacked: true, queries: []query{q("sum by (outcome) (rate(groundwork_intake_messages_total[$__rate_interval]))", "{{outcome}}")}},
				{title: "Duration", unit: "s", width: half, mayBeEmpty: true, queries: []query{
					q(quantile(.5, seconds, `{route="/hooks/:token"}`, ""), "50 %"), q(quantile(.99, seconds, `{route="/hooks/:token"}`, ""), "99 %"),
				}},
			}},
			{"Processes", []panel{
				{title: "CPU", unit: "percentunit", width: third, queries: []query{q("rate(process_cpu_seconds_total[$__rate_interval])", "{{job}} {{instance}}")}},
				{title: "Memory", unit: "bytes", width: third, queries: []query{q("process_resident_memory_bytes", "{{job}} {{instance}}")}},
				{title: "Goroutines", unit: "short", width: third, queries: []query{q("go_goroutines", "{{job}} {{instance}}")}},
				{title: "Builds", about: "More than one while a new version is rolled out.", kind: "table", width: half, queries: []query{q("count by (process, version, revision) (groundwork_build_info)", "")}},
				{title: "Errors told to Sentry", unit: "ops", width: half, mayBeEmpty: true, queries: []query{q("sum by (outcome) (rate(groundwork_sentry_events_total[$__rate_interval]))", "{{outcome}}")}},
			}},
		},
	}
}
