package ops

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/platform/logging"
)

// Check is one thing without which the process should be sent no work.
type Check struct {
	// Name says what is checked: "database", "schema".
	Name string
	// Timeout is how long Run may take; 0 is two seconds.
	Timeout time.Duration
	// Run returns an error that says what is wrong. It is never run twice at a time: who asks meanwhile gets the same
	// answer.
	Run func(ctx context.Context) error
}

const defaultTimeout = 2 * time.Second

// result is what one check said.
type result struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Took  string `json:"took"`
}

// runner runs a check for everybody who asks at the same time.
type runner struct {
	Check

	mu      sync.Mutex
	current *attempt // nil where none is under way
}

type attempt struct {
	done chan struct{} // closed when err is set
	err  error
}

// runAll runs the checks at the same time and says whether all of them passed.
func runAll(ctx context.Context, checks []*runner) (map[string]result, bool) {
	results := make([]result, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { results[i] = check.ask(ctx) })
	}
	wg.Wait()
	named, ok := make(map[string]result, len(checks)), true
	for i, check := range checks {
		named[check.Name] = results[i]
		ok = ok && results[i].OK
	}
	return named, ok
}

// ask waits for the check's answer, and no longer than its time-out even where the check overstays it.
func (r *runner) ask(ctx context.Context) result {
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a := r.join(ctx, timeout)
	var err error
	select {
	case <-a.done:
		err = a.err
	case <-ctx.Done():
		err = fmt.Errorf("no answer within %s", timeout)
	}
	answered := result{OK: err == nil, Took: time.Since(began).Round(time.Microsecond).String()}
	if err != nil {
		answered.Error = logging.Redact(err.Error())
	}
	return answered
}

// join returns the attempt under way, or begins one. An attempt outlives who asked first, for the sake of those who
// joined it.
func (r *runner) join(ctx context.Context, timeout time.Duration) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil {
		return r.current
	}
	a := &attempt{done: make(chan struct{})}
	r.current = a
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		a.err = r.guarded(ctx)
		r.mu.Lock()
		r.current = nil
		r.mu.Unlock()
		close(a.done)
	}()
	return a
}

// guarded runs the check; a check that panics has failed.
func (r *runner) guarded(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the check panicked: %v", p)
		}
	}()
	return r.Run(ctx)
}
