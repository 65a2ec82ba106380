package main

import (
	"cmp"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// report is what was measured.
type report struct {
	loadBefore, loadAfter string
	rivals                []rival
	sections              []*figures
	sizes                 []size
}

// What is to hold, as ratios in one run, and as times.
const (
	leastOfRiver    = 0.7
	leastOfGocraft  = 0.15
	leastEnqueue    = 1.5
	mostIdle        = 50 * time.Millisecond
	mostSmallTenant = 100 * time.Millisecond
	mostMemory      = 60 << 10 // KiB
)

// markdown is the report as docs/performance.md shows it.
func (r *report) markdown(b *bench) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured on %s: %s %s, %d processors, %s, jobs' durability as PostgreSQL comes (fsync on).\n",
		b.began.UTC().Format("2006-01-02 15:04 UTC"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(&out, "%s jobs a measurement. The machine's load before: %s; after: %s.\n\n", thousands(b.jobs), r.loadBefore, r.loadAfter)
	if len(r.sizes) > 0 {
		r.tableOfSizes(&out)
		return out.String()
	}
	r.tableOfRivals(&out)
	r.tableOfSections(&out)
	return out.String()
}

func (r *report) tableOfRivals(out *strings.Builder) {
	if len(r.rivals) == 0 {
		return
	}
	out.WriteString("| Engine | enqueue/s, 1 connection | 16 connections | processed/s, 50 workers | 200 workers | idle start p50 ms | p99 ms |\n")
	out.WriteString("|---|---:|---:|---:|---:|---:|---:|\n")
	for _, name := range []string{"gocraft", "asynq", "river"} {
		at50, at200 := r.rival(name, 50), r.rival(name, 200)
		if at50.Engine == "" {
			continue
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %.1f | %.1f |\n", name, thousands(int(at50.EnqueueOne)), thousands(int(at50.EnqueueMany)),
			thousands(int(at50.Process)), thousands(int(at200.Process)), at50.IdleP50, at50.IdleP99)
	}
	for _, f := range r.sections {
		fmt.Fprintf(out, "| **ours**, %s | %s | %s | %s | %s | %.1f | %.1f |\n", f.name, thousands(int(f.enqueueOne)), thousands(int(f.enqueueMany)),
			thousands(int(f.process50)), thousands(int(f.process200)), millis(f.idle.p50), millis(f.idle.p99))
	}
	out.WriteString("\n")
}

func (r *report) rival(name string, workers int) rival {
	for _, each := range r.rivals {
		if each.Engine == name && each.Workers == workers {
			return each
		}
	}
	return rival{}
}

func (r *report) tableOfSections(out *strings.Builder) {
	out.WriteString("| What | To hold |")
	for _, f := range r.sections {
		out.WriteString(" " + f.name + " |")
	}
	out.WriteString("\n|---|---:|" + strings.Repeat("---:|", len(r.sections)) + "\n")
	line := func(what, hold string, of func(f *figures) (text string, holds bool)) {
		fmt.Fprintf(out, "| %s | %s |", what, cmp.Or(hold, " "))
		for _, f := range r.sections {
			text, holds := of(f)
			if !holds {
				text = "**" + text + ", not held**"
			}
			fmt.Fprintf(out, " %s |", text)
		}
		out.WriteString("\n")
	}
	ratio := func(what string, least float64, of func(f *figures) (ours, theirs float64)) {
		line(what, fmt.Sprintf("≥ %.2f", least), func(f *figures) (string, bool) {
			ours, theirs := of(f)
			if theirs == 0 {
				return "–", true
			}
			return fmt.Sprintf("%.2f", ours/theirs), ours/theirs >= least
		})
	}
	within := func(what string, most time.Duration, of func(f *figures) spread) {
		line(what, "< "+most.String(), func(f *figures) (string, bool) {
			s := of(f)
			return fmt.Sprintf("%.1f / %.1f ms", millis(s.p50), millis(s.p99)), s.p99 < most
		})
	}
	river, gocraft := r.rival("river", 50), r.rival("gocraft", 50)
	ratio("processed, 50 workers, against tuned River", leastOfRiver, func(f *figures) (float64, float64) { return f.process50, river.Process })
	ratio("processed, 50 workers, against bare gocraft/work", leastOfGocraft, func(f *figures) (float64, float64) { return f.process50, gocraft.Process })
	ratio("enqueued in a transaction against River, 1 connection", leastEnqueue, func(f *figures) (float64, float64) { return f.enqueueOne, river.EnqueueOne })
	ratio("enqueued in a transaction against River, 16 connections", leastEnqueue, func(f *figures) (float64, float64) { return f.enqueueMany, river.EnqueueMany })
	line("enqueued/s in batches of 500, one connection", "", func(f *figures) (string, bool) { return thousands(int(f.batched)), true })
	within("start on an idle worker, p50 / p99", mostIdle, func(f *figures) spread { return f.idle })
	within("start of a small tenant's job while another floods, p50 / p99", mostSmallTenant, func(f *figures) spread { return f.flood })
	within("the same, and many tenants hold a future job each, p50 / p99", mostSmallTenant, func(f *figures) spread { return f.future })
	memoryOf := func(what string, of func(f *figures) (rest, peak int)) {
		line(what, fmt.Sprintf("< %d MiB", mostMemory>>10), func(f *figures) (string, bool) {
			rest, peak := of(f)
			return fmt.Sprintf("%d / %d MiB", rest>>10, peak>>10), rest < mostMemory
		})
	}
	memoryOf("memory of the worker, at rest / under the flood at most", func(f *figures) (int, int) { return f.workerRest, f.workerPeak })
	memoryOf("memory of a scheduler, at rest / at most", func(f *figures) (int, int) { return f.schedulerRest, f.schedulerPeak })
}

func (r *report) tableOfSizes(out *strings.Builder) {
	out.WriteString("| After | jobs, with indexes | jobs_finished, with indexes | whole database | processed/s since the last line |\n|---|---:|---:|---:|---:|\n")
	for _, s := range r.sizes {
		fmt.Fprintf(out, "| %s | %.1f MiB | %.1f MiB | %.1f MiB | %s |\n", s.after, mib(s.jobs), mib(s.finished), mib(s.database), s.rate)
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// thousands is 1,234,567.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
