package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// spread is how long something took, mostly and nearly always.
type spread struct{ p50, p99 time.Duration }

func spreadOf(took []time.Duration) spread {
	if len(took) == 0 {
		return spread{}
	}
	slices.Sort(took)
	return spread{took[len(took)/2], took[len(took)*99/100]}
}

// figures are one section's.
type figures struct {
	name                             string
	enqueueOne, enqueueMany, batched float64
	process50, process200            float64
	costs50                          costs
	idle, flood, future              spread
	floodStarts, futureStarts        int
	workerRest, workerPeak           int // KiB
	schedulerRest, schedulerPeak     int
}

// enqueueing measures transactions that enqueue a job each, and batches, while nobody runs them.
func (b *bench) enqueueing(ctx context.Context, f *figures) (err error) {
	if f.enqueueOne, err = b.rate(ctx, b.jobs/10, 1, 1); err != nil {
		return err
	}
	if f.enqueueMany, err = b.rate(ctx, b.jobs/2, 16, 1); err != nil {
		return err
	}
	f.batched, err = b.rate(ctx, b.jobs*2, 1, 500)
	return errors.Join(err, b.clear(ctx))
}

// rate is how many jobs a second are enqueued, by some at once, with so many in a transaction.
func (b *bench) rate(ctx context.Context, n, atOnce, together int) (float64, error) {
	var all sync.WaitGroup
	failed := make(chan error, atOnce)
	began := time.Now()
	for who := range atOnce {
		all.Go(func() { failed <- b.enqueue(ctx, n/atOnce, together, who) })
	}
	all.Wait()
	took := time.Since(began)
	for range atOnce {
		if err := <-failed; err != nil {
			return 0, err
		}
	}
	return float64(n/atOnce*atOnce) / took.Seconds(), nil
}

func (b *bench) enqueue(ctx context.Context, n, together, who int) error {
	for done := 0; done < n; done += together {
		list := make([]jobs.New, min(together, n-done))
		for i := range list {
			var err error
			if list[i], err = jobs.Of(nothing{}); err != nil {
				return err
			}
		}
		scope := tenancy.AsSystem(b.tenants[(who+done/together)%len(b.tenants)], "")
		if _, err := b.queue.Enqueue(ctx, scope, list...); err != nil {
			return err
		}
	}
	return nil
}

// processing measures jobs that do nothing, by 50 and by 200 workers of one process.
func (b *bench) processing(ctx context.Context, f *figures) (err error) {
	if f.process50, f.costs50, err = b.process(ctx, 50, b.profile); err != nil {
		return err
	}
	f.process200, _, err = b.process(ctx, 200, "")
	return err
}

// process enqueues jobs and then starts a worker. Its start counts.
func (b *bench) process(ctx context.Context, workers int, profile string) (float64, costs, error) {
	if _, err := b.rate(ctx, b.jobs, 1, 500); err != nil {
		return 0, costs{}, err
	}
	if _, err := b.admin.Exec(ctx, "analyze jobs"); err != nil {
		return 0, costs{}, fmt.Errorf("analyze: %w", err)
	}
	began, before := time.Now(), b.used(nil)
	worker, err := b.startWorker(ctx, workers)
	if err != nil {
		return 0, costs{}, err
	}
	var profiles sync.WaitGroup
	if profile != "" {
		for name, p := range map[string]*stand.Process{"worker": worker, "scheduler": b.schedulers[0], "scheduler-2": b.schedulers[1]} {
			profiles.Go(func() {
				if err := save(ctx, "http://"+p.Ops+"/debug/pprof/profile?seconds=4", filepath.Join(profile, name+".pprof")); err != nil {
					b.say("profile: %s", err)
				}
			})
		}
	}
	err = b.untilRun(ctx, worker, b.jobs)
	rate := float64(b.jobs) / time.Since(began).Seconds()
	cost := b.used(worker).since(before, b.jobs)
	b.say("%d workers: %.0f jobs/s; processor time for a job: %s", workers, rate, cost)
	profiles.Wait()
	return rate, cost, errors.Join(err, worker.Terminate(ctx, 20*time.Second))
}

// untilRun waits until a worker says that so many jobs have succeeded.
func (b *bench) untilRun(ctx context.Context, worker *stand.Process, n int) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := succeeded(ctx, worker)
		if err != nil || done >= n {
			return err
		}
		select {
		case <-tick.C:
		case <-worker.Done():
			return fmt.Errorf("the worker has ended: %w; its log ends with:\n%s", worker.Err(), worker.Tail())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// succeeded is how many jobs a worker ran well.
func succeeded(ctx context.Context, worker *stand.Process) (int, error) {
	body, err := get(ctx, "http://"+worker.Ops+"/metrics")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	done := 0.0
	for lines := bufio.NewScanner(body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "groundwork_jobs_attempts_total") && strings.Contains(line, `outcome="succeeded"`) {
			n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				return 0, fmt.Errorf("read the worker's metrics: %w", err)
			}
			done += n
		}
	}
	return int(done), nil
}

// idling measures the start of a job on a worker that has nothing to do, from before the transaction that enqueues it.
func (b *bench) idling(ctx context.Context, f *figures) error {
	worker, err := b.startWorker(ctx, 50)
	if err != nil {
		return err
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	f.workerRest, _ = memory(worker.Pid, "VmRSS")
	f.schedulerRest, _ = memory(b.schedulers[0].Pid, "VmRSS")
	probes := &probes{asked: map[tenancy.ID]time.Time{}}
	for i := range b.probes {
		if err := b.probe(ctx, b.tenants[i%len(b.tenants)], probes); err != nil {
			return err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	took, err := b.answers(ctx, probes)
	f.idle = spreadOf(took)
	return errors.Join(err, worker.Terminate(ctx, 20*time.Second))
}

// flooding measures how soon jobs of small tenants start while one tenant floods; then the same while many tenants hold a
// future job each.
func (b *bench) flooding(ctx context.Context, f *figures) error {
	small, err := b.newTenants(ctx, 50)
	if err != nil {
		return err
	}
	took, peak, err := b.besideFlood(ctx, small)
	if err != nil {
		return err
	}
	f.flood, f.floodStarts, f.workerPeak = spreadOf(took), len(took), peak
	if err := b.holdFuture(ctx); err != nil {
		return err
	}
	took, _, err = b.besideFlood(ctx, small)
	f.future, f.futureStarts = spreadOf(took), len(took)
	return err
}

func (b *bench) besideFlood(ctx context.Context, small []tenancy.ID) (took []time.Duration, peak int, err error) {
	scope := tenancy.AsSystem(b.tenants[0], "")
	for done := 0; done < b.flood; done += 500 {
		list := make([]jobs.New, 500)
		for i := range list {
			if list[i], err = jobs.Of(busy{}); err != nil {
				return nil, 0, err
			}
		}
		if _, err := b.queue.Enqueue(ctx, scope, list...); err != nil {
			return nil, 0, err
		}
	}
	worker, err := b.startWorker(ctx, 10)
	if err != nil {
		return nil, 0, err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return nil, 0, err
	}
	probes := &probes{asked: map[tenancy.ID]time.Time{}}
	// Each small tenant has a job done twice a second.
	tick := time.NewTicker(500 * time.Millisecond / time.Duration(len(small)))
	defer tick.Stop()
	over := time.After(b.floodFor)
	var all sync.WaitGroup
	failed := make(chan error, 1)
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			all.Go(func() {
				if err := b.probe(ctx, small[i%len(small)], probes); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
			continue
		case <-over:
		case <-ctx.Done():
		}
		break
	}
	all.Wait()
	if took, err = b.answers(ctx, probes); err != nil {
		return nil, 0, err
	}
	left := 0
	if err := b.admin.QueryRow(ctx, "select count(*) from jobs where queue = 'default' and state = 'pending'").Scan(&left); err != nil {
		return nil, 0, fmt.Errorf("count: %w", err)
	}
	if left < b.flood/20 {
		b.say("the flood was over before the measurement: %d jobs were left", left)
	}
	peak, _ = memory(worker.Pid, "VmHWM")
	select {
	case err = <-failed:
	default:
	}
	return took, peak, errors.Join(err, worker.Terminate(ctx, 20*time.Second), b.clear(ctx))
}

// probes are jobs that say when they began, and when they were asked for.
type probes struct {
	mu    sync.Mutex
	asked map[tenancy.ID]time.Time
}

func (b *bench) probe(ctx context.Context, tenant tenancy.ID, p *probes) error {
	began := time.Now()
	done, err := jobs.Enqueue(ctx, b.queue, tenancy.AsSystem(tenant, ""), begun{})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[done.ID] = began
	return nil
}

// answers waits for all probes to end and says how long each took to begin.
func (b *bench) answers(ctx context.Context, p *probes) ([]time.Duration, error) {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		var left int
		if err := b.admin.QueryRow(ctx, "select count(*) from jobs where kind = 'bench.begun'").Scan(&left); err != nil {
			return nil, fmt.Errorf("wait for the probes: %w", err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%d probes did not run within two minutes", left)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
	ids := make([]string, 0, len(p.asked))
	for id := range p.asked {
		ids = append(ids, id.String())
	}
	rows, err := b.admin.Query(ctx, "select id::text, result::text::bigint from jobs_finished where id = any($1::uuid[])", ids)
	if err != nil {
		return nil, fmt.Errorf("read the probes: %w", err)
	}
	defer rows.Close()
	var took []time.Duration
	for rows.Next() {
		var text string
		var at int64
		if err := rows.Scan(&text, &at); err != nil {
			return nil, fmt.Errorf("read the probes: %w", err)
		}
		id, err := tenancy.ParseID(text)
		if err != nil {
			return nil, err
		}
		took = append(took, time.UnixMicro(at).Sub(p.asked[id]))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the probes: %w", err)
	}
	if len(took) != len(p.asked) {
		return nil, fmt.Errorf("of %d probes %d have succeeded", len(p.asked), len(took))
	}
	return took, nil
}

func get(ctx context.Context, address string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	return response.Body, nil
}

func save(ctx context.Context, address, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep a profile: %w", err)
	}
	body, err := get(ctx, address)
	if err != nil {
		return err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	return os.WriteFile(path, data, 0o600) //nolint:wrapcheck // it names the file
}

// memory is a process's, in KiB, by its name in /proc.
func memory(pid int, name string) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err //nolint:wrapcheck // it names the file
	}
	found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return 0, errors.New("the system does not say")
	}
	return strconv.Atoi(string(found[1])) //nolint:wrapcheck // digits
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
