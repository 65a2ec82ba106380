package runner

import (
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// progressEvery is how often a job's progress is written at most.
const progressEvery = time.Second

// progress writes how far jobs have come: of each the latest, once a second, all of them together.
type progress struct {
	desk jobs.Desk
	log  *logrus.Logger
	// patience is how long a write may take.
	patience time.Duration
	wake     chan struct{}

	mu    sync.Mutex
	dirty map[jobs.Attempt]jobs.Progress
}

func newProgress(desk jobs.Desk, log *logrus.Logger, patience time.Duration) *progress {
	return &progress{desk: desk, log: log, patience: patience, wake: make(chan struct{}, 1), dirty: map[jobs.Attempt]jobs.Progress{}}
}

// note keeps what an attempt reports, to be written soon.
func (p *progress) note(a jobs.Attempt, said jobs.Progress) {
	p.mu.Lock()
	p.dirty[a] = said
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// finish writes what an attempt reported last, where it was not written yet: before the job ends.
func (p *progress) finish(ctx context.Context, a jobs.Attempt) {
	p.mu.Lock()
	said, ok := p.dirty[a]
	delete(p.dirty, a)
	p.mu.Unlock()
	if ok {
		p.write(ctx, []jobs.AttemptProgress{{Attempt: a, Progress: said}})
	}
}

// forget drops what an attempt reported and was not written.
func (p *progress) forget(a jobs.Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.dirty, a)
}

// serve writes until the context ends. While nobody reports it sleeps.
func (p *progress) serve(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		p.mu.Lock()
		all := make([]jobs.AttemptProgress, 0, len(p.dirty))
		for a, said := range p.dirty {
			all = append(all, jobs.AttemptProgress{Attempt: a, Progress: said})
		}
		clear(p.dirty)
		p.mu.Unlock()
		if len(all) > 0 {
			p.write(ctx, all)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(progressEvery):
		}
	}
}

func (p *progress) write(ctx context.Context, all []jobs.AttemptProgress) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	if err := p.desk.SaveProgress(ctx, all); err != nil && ctx.Err() == nil {
		p.log.WithError(err).Warn("the progress of jobs could not be written")
	}
}
