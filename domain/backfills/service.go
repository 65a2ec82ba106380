package backfills

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Service steers backfills and runs them.
type Service struct {
	store Store
	queue jobs.Queue
	now   func() time.Time
	wait  func(ctx context.Context, d time.Duration) error
}

// NewService returns the service; queue may be nil where backfills are run only, and not steered.
func NewService(store Store, queue jobs.Queue, now func() time.Time) *Service {
	return &Service{store: store, queue: queue, now: now, wait: wait}
}

// ErrUnknown says that this program has no backfill of a name: another version may.
var ErrUnknown = errors.New("this version has no such backfill")

// Listed is a backfill of this program, or one that was started by another version; it has one of both at least.
type Listed struct {
	Definition

	// Run is nil where it was not started yet.
	Run *Run
}

// List returns all backfills: those that this program has, then those that another one had.
func (s *Service) List(ctx context.Context) ([]Listed, error) {
	runs, err := s.store.ListBackfills(ctx)
	if err != nil {
		return nil, err
	}
	var all []Listed
	for _, d := range s.store.Definitions() {
		item := Listed{Definition: d}
		if i := slices.IndexFunc(runs, func(r Run) bool { return r.Name == d.Name }); i >= 0 {
			run := runs[i]
			item.Run = &run
			runs = slices.Delete(runs, i, i+1)
		}
		all = append(all, item)
	}
	for _, run := range runs {
		all = append(all, Listed{Definition: Definition{Name: run.Name}, Run: &run})
	}
	return all, nil
}

// Find returns one of List.
func (s *Service) Find(ctx context.Context, name string) (Listed, error) {
	all, err := s.List(ctx)
	if err != nil {
		return Listed{}, err
	}
	i := slices.IndexFunc(all, func(l Listed) bool { return l.Name == name })
	if i < 0 {
		return Listed{}, s.unknown(name)
	}
	return all[i], nil
}

// Start begins a backfill that was never started.
func (s *Service) Start(ctx context.Context, name string) error {
	if _, err := s.definition(name); err != nil {
		return err
	}
	begun, err := s.store.BeginBackfill(ctx, name, s.enqueue(name))
	if err == nil && !begun {
		err = fmt.Errorf("%s was started already: see how far it has come with show, go on with resume, or have it begin anew with restart", name)
	}
	return err
}

// Restart has a backfill that is done begin again.
func (s *Service) Restart(ctx context.Context, name string) error {
	run, err := s.started(ctx, name)
	if err != nil {
		return err
	}
	if run.State != Done {
		return fmt.Errorf("%s is %s; only one that is done can begin anew", name, run.State)
	}
	if err := s.store.ForgetBackfill(ctx, name); err != nil {
		return err
	}
	return s.Start(ctx, name)
}

// Pause has a running backfill stop after its present batch.
func (s *Service) Pause(ctx context.Context, name string) error {
	if err := s.mustGoOn(ctx, name); err != nil {
		return err
	}
	return s.store.SteerBackfill(ctx, name, Paused, func(context.Context) error { return nil })
}

// Resume has a backfill go on that was paused, or whose job was cancelled or has died.
func (s *Service) Resume(ctx context.Context, name string) error {
	if err := s.mustGoOn(ctx, name); err != nil {
		return err
	}
	if _, err := s.definition(name); err != nil {
		return err
	}
	return s.store.SteerBackfill(ctx, name, Running, s.enqueue(name))
}

// Work runs a backfill until it is done or paused; report is told how far it has come. What fails is kept for whoever
// looks, and returned.
func (s *Service) Work(ctx context.Context, name string, report func(Run)) (Run, error) {
	d, err := s.definition(name)
	if err != nil {
		return Run{}, err
	}
	for size := d.Batch; ; {
		began := s.now()
		step, err := s.store.StepBackfill(ctx, name, size)
		if err != nil {
			if ctx.Err() == nil {
				err = errors.Join(err, s.store.NoteBackfillError(ctx, name, err.Error()))
			}
			return step.Run, fmt.Errorf("backfill %s: %w", name, err)
		}
		report(step.Run)
		if step.Run.State != Running {
			return step.Run, nil
		}
		took := s.now().Sub(began)
		size = d.next(size, took)
		if err := s.wait(ctx, d.pause(step.Looked, took)); err != nil {
			return step.Run, err
		}
	}
}

func (s *Service) definition(name string) (Definition, error) {
	for _, d := range s.store.Definitions() {
		if d.Name == name {
			return d.Complete(), nil
		}
	}
	return Definition{}, s.unknown(name)
}

func (s *Service) unknown(name string) error {
	var names []string
	for _, d := range s.store.Definitions() {
		names = append(names, d.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("%w as %q; it has none", ErrUnknown, name)
	}
	return fmt.Errorf("%w as %q; it has %s", ErrUnknown, name, strings.Join(names, ", "))
}

func (s *Service) started(ctx context.Context, name string) (Run, error) {
	run, found, err := s.store.FindBackfill(ctx, name)
	if err == nil && !found {
		if _, unknown := s.definition(name); unknown != nil {
			return Run{}, unknown
		}
		err = fmt.Errorf("%s was not started yet", name)
	}
	return run, err
}

func (s *Service) mustGoOn(ctx context.Context, name string) error {
	run, err := s.started(ctx, name)
	if err == nil && run.State == Done {
		err = fmt.Errorf("%s is done", name)
	}
	return err
}

// enqueue has a worker run the backfill; where one does already it is that one.
func (s *Service) enqueue(name string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := jobs.Enqueue(ctx, s.queue, tenancy.AsSystem(tenancy.SystemTenant, "backfill "+name), Work{Name: name})
		return err
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
