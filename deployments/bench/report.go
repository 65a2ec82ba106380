package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// markdown is what was measured, as docs/performance.md shows it.
func (r *results) markdown() string {
	var b strings.Builder
	s := r.stack
	fmt.Fprintf(&b, "Measured on %s: %s %s, %d processors, %s.\n", s.began.UTC().Format("2006-01-02 15:04 UTC"), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), strings.Join(r.versions, ", "))
	fmt.Fprintf(&b, "%s orders of %d tenants, %s of them one tenant's; %d clients; %d × %s a cell after %s of warm-up, in turn; medians.\n",
		thousands(s.rows), s.tenants, thousands(s.largeOrders()), s.clients, s.repeats, s.duration, s.warmUp)
	if r.loadBefore != "" {
		fmt.Fprintf(&b, "The machine's load before: %s; after: %s.\n", r.loadBefore, r.loadAfter)
	}
	for _, note := range r.notes {
		fmt.Fprintln(&b, note)
	}
	b.WriteString("\n| Work | Contestant | Requests/s | Ratio to hand-written | p50 ms | p99 ms | CPU s per 1,000: its own | of the load | Statements |\n")
	b.WriteString("|---|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, k := range r.kinds {
		if k.bulk {
			continue
		}
		for _, name := range []string{pgbenchName, checkedName, "hand-written", "API", "API, one tenant"} {
			c, ok := r.cells[k.name][name]
			if !ok {
				continue
			}
			ratio := "–"
			if base := r.cells[k.name]["hand-written"].perSecond; base > 0 {
				ratio = fmt.Sprintf("%.2f", c.perSecond/base)
			}
			cpu, own, statements := "–", "–", "–"
			if name != pgbenchName && name != checkedName {
				cpu, own = fmt.Sprintf("%.3f", c.cpu.Seconds()), fmt.Sprintf("%.3f", c.loadCPU.Seconds())
			}
			if c.statements > 0 {
				statements = fmt.Sprint(c.statements)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %.2f | %.2f | %s | %s | %s |\n", k.name, name, thousands(int(c.perSecond)), ratio,
				millis(c.p50), millis(c.p99), cpu, own, statements)
		}
	}
	r.others(&b)
	return b.String()
}

// others are the figures that are no rate.
func (r *results) others(b *strings.Builder) {
	b.WriteString("\n| What | Measured | To hold |\n|---|---:|---:|\n")
	first, deep := r.cells[r.kinds[1].name], r.cells[r.kinds[2].name]
	ratio := func(a, b time.Duration) string {
		if b == 0 {
			return "–"
		}
		return fmt.Sprintf("%.2f ×", float64(a)/float64(b))
	}
	row := func(what, measured, hold string) { fmt.Fprintf(b, "| %s | %s | %s |\n", what, measured, hold) }
	row(fmt.Sprintf("p99 of a list: page %d against page 1", r.work.deepPage), ratio(deep["API"].p99, first["API"].p99), "1.2 ×")
	row(fmt.Sprintf("p99 of page 1: %d tenants in the database against one", r.stack.tenants), ratio(first["API"].p99, first["API, one tenant"].p99), "1.2 ×")
	for _, k := range r.kinds {
		if c, ok := r.cells[k.name]["API"]; ok && k.bulk {
			row(fmt.Sprintf("%s, one request (p50; %d statements)", k.name, c.statements), fmt.Sprintf("%.2f s", c.p50.Seconds()), "1 s")
		}
	}
	mib := func(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
	row("memory of the API, at rest", mib(r.atRest["API"]), "60 MiB")
	row("memory of the API, under load", mib(r.underLoad["API"]), "")
	row("memory of the hand-written handler, under load", mib(r.underLoad["hand-written"]), "")
	for _, name := range []string{"api", "worker", "scheduler"} {
		times := r.stack.readyIn[name]
		row("start of the "+name+" to ready", fmt.Sprintf("%.2f s (%.2f at worst)", median(times).Seconds(), slices.Max(times).Seconds()), "1 s")
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func thousands(n int) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// versions are those of what takes part.
func (s *stack) versions(ctx context.Context) []string {
	versions := []string{strings.Replace(runtime.Version(), "go", "Go ", 1)}
	if conn, err := pgx.Connect(ctx, s.adminURL(manyTenants)); err == nil {
		versions = append(versions, "PostgreSQL "+first(conn.PgConn().ParameterStatus("server_version")))
		_ = conn.Close(ctx)
	}
	if said, err := exec.CommandContext(ctx, "redis-server", "--version").Output(); err == nil {
		if _, rest, ok := bytes.Cut(said, []byte("v=")); ok {
			versions = append(versions, "Redis "+first(string(rest)))
		}
	}
	return versions
}

func first(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}
