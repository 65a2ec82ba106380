package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// deliver is a kind as a product would declare one.
type deliver struct {
	Endpoint tenancy.ID `json:"endpoint"`
	Text     string     `json:"text,omitempty"`
}

func (deliver) JobKind() jobs.Kind {
	return jobs.Kind{Name: "deliver", Queue: jobs.Webhooks, Unique: jobs.UniqueWhilePending, MaxRunning: 2}
}

func (d deliver) JobLane() tenancy.ID { return d.Endpoint }

// named is declared by a function, for kinds that are wrong.
type named struct{ kind *jobs.Kind }

func (n named) JobKind() jobs.Kind { return *n.kind }

// keyed names its key itself.
type keyed struct {
	ID string `json:"id"`
}

func (keyed) JobKind() jobs.Kind {
	return jobs.Kind{Name: "keyed", Unique: jobs.UniqueForPeriod, UniqueFor: time.Hour}
}
func (k keyed) JobKey() string { return k.ID }

func TestOf(t *testing.T) {
	t.Parallel()
	t.Run("fills_in_what_the_declaration_leaves_out", func(t *testing.T) {
		t.Parallel()
		endpoint := tenancy.NewID()
		job, err := jobs.Of(deliver{Endpoint: endpoint})
		require.NoError(t, err)
		assert.Equal(t, jobs.DefaultMaxAttempts, job.Kind.MaxAttempts)
		assert.Equal(t, jobs.DefaultTimeout, job.Kind.Timeout)
		assert.Equal(t, endpoint, job.Lane)
		assert.JSONEq(t, `{"endpoint":"`+endpoint.String()+`"}`, string(job.Args))
		assert.Equal(t, string(job.Args), job.Key, "arguments without a key are their own")
		assert.False(t, job.ID.IsZero())
		assert.True(t, job.RunAt.IsZero())
		later := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		assert.Equal(t, later, job.At(later).RunAt)
	})
	t.Run("takes_the_key_that_the_arguments_name", func(t *testing.T) {
		t.Parallel()
		job, err := jobs.Of(keyed{ID: "seven"})
		require.NoError(t, err)
		assert.Equal(t, "seven", job.Key)
		assert.Equal(t, jobs.Default, job.Kind.Queue)
		assert.True(t, job.Lane.IsZero(), "the tenant's")
	})
	t.Run("refuses_what_cannot_be_kept", func(t *testing.T) {
		t.Parallel()
		for what, args := range map[string]jobs.Args{
			"64 KiB and more":  deliver{Text: strings.Repeat("x", jobs.MaxArgs)},
			"a key of nothing": keyed{},
			"a long key":       keyed{ID: strings.Repeat("x", 501)},
			"no name":          named{&jobs.Kind{}},
			"no such queue":    named{&jobs.Kind{Name: "x", Queue: "nowhere"}},
			"no period":        named{&jobs.Kind{Name: "x", Unique: jobs.UniqueForPeriod}},
			"a period only":    named{&jobs.Kind{Name: "x", UniqueFor: time.Hour}},
			"a negative cap":   named{&jobs.Kind{Name: "x", MaxRunning: -1}},
		} {
			_, err := jobs.Of(args)
			assert.Error(t, err, what)
		}
	})
}

func TestExponential(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 10, jobs.Exponential(1).Seconds(), 2)
	assert.InDelta(t, 40, jobs.Exponential(3).Seconds(), 8)
	assert.InDelta(t, 20_480, jobs.Exponential(12).Seconds(), 20_480/5)
	for _, failed := range []int{13, 20, 1000, 1 << 40} {
		assert.InDelta(t, 6*3600, jobs.Exponential(failed).Seconds(), 6*3600/5, "after %d", failed)
	}
	assert.Positive(t, jobs.Exponential(0))
	different := map[time.Duration]bool{}
	for range 20 {
		different[jobs.Exponential(5)] = true
	}
	assert.Greater(t, len(different), 10, "jobs that failed together come again apart")
}

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	kind := jobs.Kind{Name: "x", Backoff: func(failed int) time.Duration { return time.Duration(failed) * time.Minute }}.Complete()
	broken := errors.New("broken")
	later := now.Add(7 * time.Hour)
	for name, c := range map[string]struct {
		err    error
		failed int
		state  jobs.State
		at     time.Time
	}{
		"success":                     {nil, 0, jobs.Succeeded, time.Time{}},
		"a failure waits its backoff": {broken, 2, jobs.Retrying, now.Add(2 * time.Minute)},
		"the last attempt":            {broken, 3, jobs.Dead, time.Time{}},
		"no use":                      {fmt.Errorf("look: %w", jobs.Permanent(broken)), 1, jobs.Dead, time.Time{}},
		"a time of its own":           {jobs.RetryAt(broken, later), 1, jobs.Retrying, later},
		"a time, but no attempt left": {jobs.RetryAt(broken, later), 3, jobs.Dead, time.Time{}},
		"nothing to do":               {jobs.Cancel(broken), 3, jobs.Cancelled, time.Time{}},
	} {
		state, at := jobs.Decide(kind, c.err, c.failed, 3, now)
		assert.Equal(t, c.state, state, name)
		assert.Equal(t, c.at, at, name)
	}
	require.ErrorIs(t, jobs.Permanent(broken), broken)
	assert.EqualError(t, jobs.RetryAt(broken, later), "broken")
}

func TestHandle(t *testing.T) {
	t.Parallel()
	handler := jobs.Handle(func(_ context.Context, run *jobs.Run, args deliver) error {
		run.Progress(1, 2, args.Text)
		return run.SetResult(map[string]string{"text": args.Text})
	})
	assert.Equal(t, "deliver", handler.Kind.Name)
	var seen []jobs.Progress
	run := &jobs.Run{Job: jobs.Job{Args: []byte(`{"text":"hello"}`)}, Report: func(p jobs.Progress) { seen = append(seen, p) }}
	require.NoError(t, handler.Run(t.Context(), run))
	assert.JSONEq(t, `{"text":"hello"}`, string(run.Result()))
	assert.Equal(t, []jobs.Progress{{Done: 1, Total: 2, Message: "hello"}}, seen)

	err := handler.Run(t.Context(), &jobs.Run{Job: jobs.Job{Args: []byte(`{"text":7}`)}})
	state, _ := jobs.Decide(handler.Kind, err, 1, 20, time.Time{})
	assert.Equal(t, jobs.Dead, state, "arguments that cannot be read will not be read at the next attempt either")
	large := jobs.Handle(func(_ context.Context, run *jobs.Run, _ deliver) error {
		return run.SetResult(strings.Repeat("x", jobs.MaxResult))
	})
	require.Error(t, large.Run(t.Context(), &jobs.Run{Job: jobs.Job{Args: []byte(`{}`)}}))
}

func TestRef(t *testing.T) {
	t.Parallel()
	ref := jobs.Ref{Tenant: tenancy.NewID(), ID: tenancy.NewID()}
	parsed, err := jobs.ParseRef(ref.String())
	require.NoError(t, err)
	assert.Equal(t, ref, parsed)
	for _, s := range []string{
		"", "x", ref.Tenant.String(), ref.String() + "x", strings.Replace(ref.String(), "/", "-", 1),
		strings.Repeat("x", 36) + "/" + ref.ID.String(), ref.Tenant.String() + "/" + strings.Repeat("x", 36),
	} {
		_, err := jobs.ParseRef(s)
		assert.Error(t, err, "%q", s)
	}
}
