package inbound

import (
	"context"
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// batches commits the events of a tenant together that arrive while the commit before them is under way. A lone event
// waits for nobody; under load a commit carries many.
type batches struct {
	// save keeps events in one transaction.
	save func(ctx context.Context, tenant tenancy.ID, arrivals []Arrival) ([]Fate, error)

	mu    sync.Mutex
	lanes map[tenancy.ID]*lane
}

// lane is one tenant's: its entries wait for the next commit.
type lane struct{ waiting []*entry }

type entry struct {
	arrival Arrival
	done    chan struct{}
	fate    Fate
	err     error
}

const (
	// maxBatch and maxBatchBytes bound what one commit carries.
	maxBatch      = 128
	maxBatchBytes = 8 << 20
	// saveTimeout bounds one commit. It is no sender's own: others wait for it too.
	saveTimeout = 10 * time.Second
)

// add keeps one event and returns when it is kept. Where ctx ends first, it may be kept all the same.
func (b *batches) add(ctx context.Context, arrival Arrival) (Fate, error) {
	e := &entry{arrival: arrival, done: make(chan struct{})}
	b.mu.Lock()
	if b.lanes == nil {
		b.lanes = map[tenancy.ID]*lane{}
	}
	l, isUnderWay := b.lanes[arrival.TenantID]
	if !isUnderWay {
		l = &lane{}
		b.lanes[arrival.TenantID] = l
	}
	l.waiting = append(l.waiting, e)
	b.mu.Unlock()
	if !isUnderWay {
		go b.serve(context.WithoutCancel(ctx), arrival.TenantID, l)
	}
	select {
	case <-e.done:
		return e.fate, e.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// serve commits what waits in a lane until nothing does.
func (b *batches) serve(ctx context.Context, tenant tenancy.ID, l *lane) {
	for {
		b.mu.Lock()
		batch := l.take()
		if len(batch) == 0 {
			delete(b.lanes, tenant)
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		b.commit(ctx, tenant, batch)
		for _, e := range batch {
			close(e.done)
		}
	}
}

// take removes the next batch from the lane.
func (l *lane) take() []*entry {
	n, size := 0, 0
	for n < len(l.waiting) && n < maxBatch {
		size += len(l.waiting[n].arrival.Body)
		if n > 0 && size > maxBatchBytes {
			break
		}
		n++
	}
	batch := l.waiting[:n:n]
	l.waiting = append([]*entry(nil), l.waiting[n:]...)
	return batch
}

// commit saves a batch. What fails for another reason than an outage is tried one by one, so that an event which cannot
// be kept takes no other with it.
func (b *batches) commit(ctx context.Context, tenant tenancy.ID, batch []*entry) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	arrivals := make([]Arrival, len(batch))
	for i, e := range batch {
		arrivals[i] = e.arrival
	}
	fates, err := b.save(ctx, tenant, arrivals)
	if err != nil && len(batch) > 1 && fault.KindOf(err) != fault.Unavailable && ctx.Err() == nil {
		for _, e := range batch {
			b.commit(ctx, tenant, []*entry{e})
		}
		return
	}
	for i, e := range batch {
		if e.err = err; err == nil {
			e.fate = fates[i]
		}
	}
}
