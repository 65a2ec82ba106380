// Package schedule runs the table of recurring work: it makes a job for each time that falls due.
//
// The scheduler runs it in every replica; who meets a time is decided by the database, which lets it be met once. The
// package owns the table and the loop. Rules are domain/schedules', and what a job does is the worker's.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

const (
	// look is how often it is looked what is due.
	look = time.Second
	// reconcileEvery is how often new tenants, changed zones and changed rules are looked for.
	reconcileEvery = 10 * time.Second
	// retryMost is the longest wait while the database is away.
	retryMost = 5 * time.Second
	// atOnce is how many times of a schedule are met in one transaction.
	atOnce = 500
	// mendAtOnce is how many cursors are mended in one transaction.
	mendAtOnce = 2000
	// keep is how long it is kept which times were met.
	keep = 90 * 24 * time.Hour
	// pruneAtOnce is how many are removed in one statement.
	pruneAtOnce = 5000
)

// Config is what a scheduler stands on.
type Config struct {
	Store     schedules.Store
	Schedules []schedules.Schedule
	Log       *logrus.Logger
	Registry  prometheus.Registerer
}

// Scheduler meets the times of schedules.
type Scheduler struct {
	config   Config
	byName   map[string]schedules.Schedule
	names    []string
	declared []schedules.Declared
	zones    schedules.Zones
	made     prometheus.Counter
	lateness prometheus.Histogram
}

// New checks the schedules. What is wrong with one is an error that names it.
func New(config Config) (*Scheduler, error) {
	s := &Scheduler{
		config: config, byName: map[string]schedules.Schedule{}, names: []string{},
		made: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "groundwork_schedules_jobs_total", Help: "Jobs made because a schedule's time had come.",
		}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "groundwork_schedules_lateness_seconds", Help: "Time from when a schedule fell due to when it was met.",
			Buckets: []float64{.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400},
		}),
	}
	var wrong []error
	for _, declared := range config.Schedules {
		if err := declared.Check(); err != nil {
			wrong = append(wrong, err)
			continue
		}
		if _, taken := s.byName[declared.Name]; taken {
			wrong = append(wrong, fmt.Errorf("schedules: two are called %s", declared.Name))
		}
		s.byName[declared.Name] = declared
		s.names = append(s.names, declared.Name)
		s.declared = append(s.declared, declared.Declare())
	}
	config.Registry.MustRegister(s.made, s.lateness)
	return s, errors.Join(wrong...)
}

// Component runs the scheduler as part of a process.
func (s *Scheduler) Component(ctx context.Context) lifecycle.Component {
	ctx, cancel := context.WithCancel(ctx)
	return lifecycle.Component{
		Name: "schedules",
		Serve: func() error {
			s.Run(ctx)
			return nil
		},
		Stop: func(context.Context) error {
			cancel()
			return nil
		},
	}
}

// Run meets what is due until ctx ends.
func (s *Scheduler) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.every(ctx, "meet what is due", look, s.Meet) })
	running.Go(func() { s.every(ctx, "reconcile", reconcileEvery, s.Reconcile) })
	running.Wait()
}

// Meet makes the jobs of all that is due.
func (s *Scheduler) Meet(ctx context.Context) error {
	now, err := s.config.Store.Now(ctx)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	for ctx.Err() == nil {
		query := schedules.DueQuery{Schedules: s.names, Now: now, Limit: atOnce}
		var late []time.Duration
		held, made, err := s.config.Store.MeetDue(ctx, query, func(stand schedules.Stand) (schedules.Meeting, error) {
			meeting, err := s.byName[stand.Schedule].Decide(stand, &s.zones, now)
			if err != nil {
				// One tenant's job that cannot be made does not keep the others from theirs.
				s.config.Log.WithError(err).WithFields(logrus.Fields{"schedule": stand.Schedule, "tenant": stand.Tenant}).
					Error("a schedule's job cannot be made; the time is passed over")
				return schedules.Meeting{Cursor: meeting.Cursor}, nil
			}
			if !meeting.Time.IsZero() {
				late = append(late, now.Sub(stand.At))
			}
			return meeting, nil
		})
		if err != nil {
			return fmt.Errorf("meet what is due: %w", err)
		}
		s.made.Add(float64(made))
		for _, d := range late {
			s.lateness.Observe(d.Seconds())
		}
		if held == 0 {
			return nil
		}
	}
	return nil
}

// Reconcile gives new tenants their cursors and mends those whose tenant, zone or rule has changed.
func (s *Scheduler) Reconcile(ctx context.Context) error {
	now, err := s.config.Store.Now(ctx)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	for ctx.Err() == nil {
		found, err := s.config.Store.Reconcile(ctx, s.declared, mendAtOnce, func(stand schedules.Stand) schedules.Cursor {
			return s.byName[stand.Schedule].Settle(stand, &s.zones, now)
		})
		if err != nil {
			return fmt.Errorf("reconcile the schedules: %w", err)
		}
		if found < mendAtOnce {
			return nil
		}
	}
	return nil
}

// Prune removes what was met long ago. It is a duty of upkeep.
func (s *Scheduler) Prune(ctx context.Context) error {
	now, err := s.config.Store.Now(ctx)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	for ctx.Err() == nil {
		removed, err := s.config.Store.PruneTimes(ctx, s.names, now.Add(-keep), pruneAtOnce)
		if err != nil {
			return fmt.Errorf("prune the times that were met: %w", err)
		}
		if removed == 0 {
			return nil
		}
	}
	return nil
}

// every does an act again and again. What fails is told once, until it works again.
func (s *Scheduler) every(ctx context.Context, name string, interval time.Duration, act func(context.Context) error) {
	wait := interval
	isFailing := false
	for {
		err := act(ctx)
		switch {
		case err == nil && isFailing:
			s.config.Log.WithField("act", name).Info("schedules are met again")
			isFailing, wait = false, interval
		case err == nil:
			wait = interval
		case ctx.Err() == nil:
			if !isFailing {
				s.config.Log.WithError(err).WithField("act", name).Warn("schedules wait: they are met as soon as the database is back")
			}
			isFailing, wait = true, min(wait, retryMost)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
