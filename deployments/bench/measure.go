package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sample is one measurement of one kind at one contestant.
type sample struct {
	perSecond float64
	p50, p99  time.Duration
	// cpu is the processor time of a thousand requests: of the contestant, and of the load.
	cpu, loadCPU time.Duration
}

// cell is the median of a kind's samples at a contestant.
type cell struct {
	sample

	statements int
	samples    int
}

// results are what the table shows.
type results struct {
	stack      *stack
	work       *work
	kinds      []kind
	cells      map[string]map[string]cell // by kind, then contestant
	atRest     map[string]int64
	underLoad  map[string]int64
	loadBefore string
	loadAfter  string
	took       time.Duration
	notes      []string
	versions   []string
}

// The names of pgbench in the table: on the SQL alone, and with what the API sends in front of it.
const (
	pgbenchName = "pgbench"
	checkedName = "pgbench, access checked"
)

// restAfter is how long a process does nothing until it has given back what it does not need.
const restAfter = 16 * time.Second

// measure asks every contestant everything, in turn, as often as was said. The turn changes from round to round, so that
// whatever else the machine does falls on all of them.
func (s *stack) measure(ctx context.Context) (*results, error) {
	w, err := s.newWork(ctx)
	if err != nil {
		return nil, err
	}
	r := &results{
		stack: s, work: w, kinds: w.kinds(), cells: map[string]map[string]cell{}, atRest: map[string]int64{}, underLoad: map[string]int64{},
		loadBefore: machineLoad(),
	}
	r.versions = s.versions(ctx)
	bench, err := newPgbench(ctx, w)
	if err != nil {
		r.notes = append(r.notes, "pgbench was left out: "+err.Error()+".")
	}
	// The processes have answered one walk by now; what they keep at rest is read before the load, once they are at rest.
	time.Sleep(restAfter)
	for name, p := range map[string]*process{"API": s.api, "hand-written": s.rival} {
		r.atRest[name] = memoryOf(p.Pid)
	}
	taken := map[string]map[string][]sample{}
	for round := range s.repeats {
		for _, k := range r.kinds {
			if taken[k.name] == nil {
				taken[k.name] = map[string][]sample{}
			}
			turn := w.turn(k, bench, round)
			for _, name := range turn {
				got, err := w.take(ctx, k, name, bench)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", k.name, name, err)
				}
				taken[k.name][name] = append(taken[k.name][name], got)
				s.say("round %d: %-32s %-16s %9.0f/s  p50 %8s  p99 %8s", round+1, k.name, name, got.perSecond,
					got.p50.Round(time.Microsecond*10), got.p99.Round(time.Microsecond*10))
			}
			for name, p := range map[string]*process{"API": s.api, "hand-written": s.rival} {
				r.underLoad[name] = max(r.underLoad[name], memoryOf(p.Pid))
			}
		}
	}
	for _, k := range r.kinds {
		r.cells[k.name] = map[string]cell{}
		for name, samples := range taken[k.name] {
			r.cells[k.name][name] = medians(samples)
		}
		count, err := w.statements(ctx, k)
		if err != nil {
			return nil, err
		}
		c := r.cells[k.name]["API"]
		c.statements = count
		r.cells[k.name]["API"] = c
	}
	r.loadAfter, r.took = machineLoad(), time.Since(s.began)
	if s.profile != "" {
		err = w.profiles(ctx, r.kinds)
	}
	return r, err
}

// turn is who is asked a kind in a round, in their order.
func (w *work) turn(k kind, bench *pgbench, round int) []string {
	names := []string{"API"}
	if !k.bulk {
		names = append(names, "hand-written")
	}
	if bench != nil && k.script != "" {
		names = append(names, pgbenchName)
		if k.checked {
			names = append(names, checkedName)
		}
	}
	if k.alone {
		names = append(names, "API, one tenant")
	}
	shift := round % len(names)
	return slices.Concat(names[shift:], names[:shift])
}

func (w *work) take(ctx context.Context, k kind, name string, bench *pgbench) (sample, error) {
	switch name {
	case pgbenchName:
		return bench.run(ctx, bench.env, k.script)
	case checkedName:
		return bench.run(ctx, bench.checkedEnv, bench.asTheAPI(k.script))
	}
	i := slices.IndexFunc(w.contestants, func(c *contestant) bool { return c.name == name })
	c := w.contestants[i]
	if k.bulk {
		return w.ask(ctx, k, c, 1, 0, w.bulks)
	}
	if _, err := w.ask(ctx, k, c, w.clients, w.warmUp, 0); err != nil {
		return sample{}, err
	}
	return w.ask(ctx, k, c, w.clients, w.duration, 0)
}

// ask has clients ask, each one request after the other, for some time or a number of times.
func (w *work) ask(ctx context.Context, k kind, c *contestant, clients int, duration time.Duration, times int) (sample, error) {
	conns := make([]*connection, clients)
	for i := range conns {
		var err error
		if conns[i], err = dial(ctx, c.addr); err != nil {
			return sample{}, err
		}
		defer conns[i].conn.Close()
	}
	latencies := make([][]time.Duration, clients)
	errs := make([]error, clients)
	cpu, own, began := cpuOf(c.Pid), ownCPU(), time.Now()
	until := began.Add(duration)
	var running sync.WaitGroup
	for i, conn := range conns {
		running.Go(func() {
			for n := 0; ctx.Err() == nil && (n < times || times == 0 && time.Now().Before(until)); n++ {
				request := k.request(c)
				sent := time.Now()
				status, err := conn.do(request)
				if err == nil && status != k.status {
					err = fmt.Errorf("answered with %d: %.500s", status, conn.body)
				}
				if err != nil {
					errs[i] = err
					return
				}
				latencies[i] = append(latencies[i], time.Since(sent))
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	cpu, own = cpuOf(c.Pid)-cpu, ownCPU()-own
	if err := errors.Join(errors.Join(errs...), ctx.Err()); err != nil {
		return sample{}, err
	}
	got := summarize(slices.Concat(latencies...), took)
	if n := len(slices.Concat(latencies...)); n > 0 {
		got.cpu, got.loadCPU = cpu*1000/time.Duration(n), own*1000/time.Duration(n)
	}
	return got, nil
}

func summarize(latencies []time.Duration, took time.Duration) sample {
	if len(latencies) == 0 {
		return sample{}
	}
	slices.Sort(latencies)
	at := func(share float64) time.Duration {
		return latencies[min(len(latencies)-1, int(share*float64(len(latencies))))]
	}
	return sample{perSecond: float64(len(latencies)) / took.Seconds(), p50: at(0.50), p99: at(0.99)}
}

func medians(samples []sample) cell {
	of := func(value func(sample) time.Duration) time.Duration {
		all := make([]time.Duration, len(samples))
		for i, s := range samples {
			all[i] = value(s)
		}
		return median(all)
	}
	rates := make([]float64, len(samples))
	for i, s := range samples {
		rates[i] = s.perSecond
	}
	return cell{samples: len(samples), sample: sample{
		perSecond: median(rates),
		p50:       of(func(s sample) time.Duration { return s.p50 }),
		p99:       of(func(s sample) time.Duration { return s.p99 }),
		cpu:       of(func(s sample) time.Duration { return s.cpu }),
		loadCPU:   of(func(s sample) time.Duration { return s.loadCPU }),
	}}
}

func median[T float64 | time.Duration](values []T) T {
	values = slices.Clone(values)
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}

var errNoLine = errors.New("the API's log has no line about the request")

// statements is how many statements a request costs, as the API's log says of one.
func (w *work) statements(ctx context.Context, k kind) (int, error) {
	conn, err := dial(ctx, w.api.addr)
	if err != nil {
		return 0, err
	}
	defer conn.conn.Close()
	id := "bench-" + strconv.FormatInt(w.made.Add(1), 10)
	request := strings.Replace(string(k.request(w.contestants[0])), "\r\n", "\r\nX-Request-Id: "+id+"\r\n", 1)
	if _, err := conn.do([]byte(request)); err != nil {
		return 0, err
	}
	for range 200 { // the line is written after the answer
		b, err := os.ReadFile(w.api.logPath)
		if err != nil {
			return 0, fmt.Errorf("read the API's log: %w", err)
		}
		if at := strings.LastIndex(string(b), id); at >= 0 {
			line := string(b[strings.LastIndexByte(string(b[:at]), '\n')+1:])
			_, rest, _ := strings.Cut(line, `"statements":`)
			end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
			if n, err := strconv.Atoi(rest[:max(0, end)]); err == nil {
				return n, nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, errNoLine
}
