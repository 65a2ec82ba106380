package inbound

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// held is a save that waits until it is let go on, and notes what it was given.
type held struct {
	mu      sync.Mutex
	sizes   []int
	started chan struct{}
	goOn    chan struct{}
	save    func([]Arrival) ([]Fate, error)
}

func (h *held) run(_ context.Context, _ tenancy.ID, arrivals []Arrival) ([]Fate, error) {
	h.mu.Lock()
	h.sizes = append(h.sizes, len(arrivals))
	h.mu.Unlock()
	h.started <- struct{}{}
	<-h.goOn
	return h.save(arrivals)
}

// queue adds events that wait behind the one whose save is under way.
func (h *held) queue(t *testing.T, b *batches, tenant tenancy.ID, arrivals ...Arrival) *sync.WaitGroup {
	t.Helper()
	var adding sync.WaitGroup
	for _, a := range arrivals {
		a.TenantID = tenant
		adding.Go(func() {
			fate, err := b.add(t.Context(), a)
			if a.Type == "bad" {
				assert.Error(t, err)
				return
			}
			assert.NoError(t, err) //nolint:testifylint // not the test's own goroutine
			assert.Equal(t, Fate(len(a.Body)%2), fate, "each is told its own fate")
		})
	}
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.lanes[tenant] != nil && len(b.lanes[tenant].waiting) == len(arrivals)
	}, waitFor, tick)
	return &adding
}

func fatesOf(arrivals []Arrival) ([]Fate, error) {
	fates := make([]Fate, len(arrivals))
	for i, a := range arrivals {
		if a.Type == "bad" {
			return nil, errors.New("it cannot be kept")
		}
		fates[i] = Fate(len(a.Body) % 2)
	}
	return fates, nil
}

func arrivalsOf(n int) []Arrival {
	list := make([]Arrival, n)
	for i := range list {
		list[i].Body = make([]byte, i)
	}
	return list
}

func TestBatches(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*held, *batches, tenancy.ID, *sync.WaitGroup) {
		t.Helper()
		h := &held{started: make(chan struct{}), goOn: make(chan struct{}), save: fatesOf}
		b := &batches{save: h.run}
		tenant := tenancy.NewID()
		var first sync.WaitGroup
		first.Go(func() {
			_, err := b.add(t.Context(), Arrival{Event: Event{TenantID: tenant}})
			assert.NoError(t, err)
		})
		<-h.started
		return h, b, tenant, &first
	}
	next := func(h *held) {
		h.goOn <- struct{}{}
		<-h.started
	}

	t.Run("commit_together_what_arrives_meanwhile", func(t *testing.T) {
		t.Parallel()
		h, b, tenant, first := begin(t)
		rest := h.queue(t, b, tenant, arrivalsOf(maxBatch+10)...)
		next(h)
		next(h)
		h.goOn <- struct{}{}
		first.Wait()
		rest.Wait()
		assert.Equal(t, []int{1, maxBatch, 10}, h.sizes)
		require.Eventually(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.lanes) == 0 }, waitFor, tick)
	})
	t.Run("are_bounded_by_size", func(t *testing.T) {
		t.Parallel()
		h, b, tenant, first := begin(t)
		large := arrivalsOf(2)
		for i := range large {
			large[i].Body = make([]byte, maxBatchBytes)
		}
		rest := h.queue(t, b, tenant, large...)
		next(h)
		next(h)
		h.goOn <- struct{}{}
		first.Wait()
		rest.Wait()
		assert.Equal(t, []int{1, 1, 1}, h.sizes)
	})
	t.Run("lose_only_what_cannot_be_kept", func(t *testing.T) {
		t.Parallel()
		h, b, tenant, first := begin(t)
		list := arrivalsOf(3)
		list[1].Type = "bad"
		rest := h.queue(t, b, tenant, list...)
		for range 4 {
			next(h)
		}
		h.goOn <- struct{}{}
		first.Wait()
		rest.Wait()
		assert.Equal(t, []int{1, 3, 1, 1, 1}, h.sizes)
	})
	t.Run("of_one_tenant_wait_for_no_other", func(t *testing.T) {
		t.Parallel()
		h, b, _, first := begin(t)
		var other sync.WaitGroup
		other.Go(func() {
			_, err := b.add(t.Context(), Arrival{Event: Event{TenantID: tenancy.NewID()}})
			assert.NoError(t, err)
		})
		<-h.started // though the first one's commit is still under way
		h.goOn <- struct{}{}
		h.goOn <- struct{}{}
		other.Wait()
		first.Wait()
	})
	t.Run("let_an_impatient_one_go", func(t *testing.T) {
		t.Parallel()
		h, b, tenant, first := begin(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.add(ctx, Arrival{Event: Event{TenantID: tenant}})
		require.ErrorIs(t, err, context.Canceled)
		next(h)
		h.goOn <- struct{}{}
		first.Wait()
	})
}

const (
	waitFor = time.Minute
	tick    = time.Millisecond
)
