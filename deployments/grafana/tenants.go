package main

func tenantsBoard() board {
	use := func(measure string) string {
		return `max by (tenant) (groundwork_tenant_use{measure="` + measure + `"})`
	}
	const lines = `{process="api"} | json | tenant != ""`
	return board{
		uid: "groundwork-tenants", title: "organizations", about: "Who uses what: the ten organizations that use most of each. The rest is in the logs.",
		asks: []field{
			{"tenant", lines},
			{"request_id", `{process="worker"} | json | message = "job" | request_id != ""`},
		},
		rows: []row{
			{"The ten that use most", []panel{
				{title: "Requests a minute", unit: "short", width: half, stacked: true, queries: []query{q("topk(10, sum by (tenant) (groundwork_tenant_requests))", "{{tenant}}")}},
				{title: "Jobs that ended in five minutes", unit: "short", width: half, stacked: true, queries: []query{q(use("jobs_ended"), "{{tenant}}")}},
				{title: "Jobs that wait", about: "The others are served in turn all the same.", unit: "short", width: half, stacked: true, mayBeEmpty: true, queries: []query{q(use("jobs_waiting"), "{{tenant}}")}},
				{title: "Files", unit: "bytes", width: half, mayBeEmpty: true, queries: []query{q(use("file_bytes"), "{{tenant}}")}},
			}},
			{"From the logs, of the time that is shown", []panel{
				{title: "Requests", kind: "table", width: third, queries: []query{logQL(`topk(20, sum by (tenant) (count_over_time(` + lines + ` [$__range])))`)}},
				{title: "Time spent on requests, in ms", kind: "table", width: third, queries: []query{logQL(`topk(20, sum by (tenant) (sum_over_time(` + lines + ` | unwrap duration_ms [$__range])))`)}},
				{title: "Statements", kind: "table", width: third, queries: []query{logQL(`topk(20, sum by (tenant) (sum_over_time(` + lines + ` | unwrap statements [$__range])))`)}},
				{title: "Refused or failed", kind: "table", width: third, mayBeEmpty: true, queries: []query{logQL(`topk(20, sum by (tenant, status) (count_over_time(` + lines + ` | status >= 400 [$__range])))`)}},
				{title: "Time spent on jobs, in ms", kind: "table", width: third, queries: []query{logQL(`topk(20, sum by (tenant) (sum_over_time({process="worker"} | json | message = "job" | unwrap duration_ms [$__range])))`)}},
				{title: "Jobs that died", kind: "table", width: third, mayBeEmpty: true, queries: []query{logQL(`topk(20, sum by (tenant, kind) (count_over_time({process="worker"} | json | message = "job" | state = "dead" [$__range])))`)}},
			}},
			{"One organization, and one request with its jobs: type the id above", []panel{
				{title: "Lines of the organization", kind: "logs", width: half, queries: []query{logQL(`{process=~".+"} |= "$tenant" | json | tenant = "$tenant" | tenant != ""`)}},
				{title: "Lines of the request", kind: "logs", width: half, queries: []query{logQL(`{process=~".+"} |= "$request_id" | json | request_id = "$request_id" | request_id != ""`)}},
			}},
		},
	}
}
