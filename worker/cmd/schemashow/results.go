package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// results are what the table shows.
type results struct {
	phases        []*phase
	before, after string
}

// markdown is the table, and whether a request noticed anything.
func (r *results) markdown(o options) (table string, noticed bool) {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows; %d requests a second of %d clients; load average %s before, %s after.\n\n", o.rows, o.rate, o.clients, r.before, r.after)
	b.WriteString("| Change | Took | Requests | Failed | Median | p99 | Worst |\n|---|---:|---:|---:|---:|---:|---:|\n")
	millis := func(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000) }
	for i, p := range r.phases {
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %s | %s | %s |\n", p.name, p.took.Round(10*time.Millisecond), p.requests, p.failed,
			millis(p.share(0.5)), millis(p.share(0.99)), millis(p.worst()))
		if p.why != "" {
			fmt.Fprintf(os.Stderr, "%s: the first that failed: %s\n", p.name, p.why)
		}
		if i > 0 && (p.failed > 0 || p.worst() > o.most) { // the first is no change
			noticed = true
		}
	}
	return b.String(), noticed
}

// machineLoad is how busy the machine is, where it says so.
func machineLoad() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:1], " ")
}
