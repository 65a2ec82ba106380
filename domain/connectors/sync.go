package connectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// RunnerNeeds are what syncs stand on.
type RunnerNeeds struct {
	Store     SyncStore
	Sealer    Sealer
	Kinds     []Kind
	Resources []*resource.Service
	Now       func() time.Time
}

// Runner runs syncs.
type Runner struct{ needs RunnerNeeds }

// NewRunner returns a runner.
func NewRunner(needs RunnerNeeds) *Runner { return &Runner{needs: needs} }

// The bounds of a sync.
const (
	// keepAtOnce is how many records one transaction keeps.
	keepAtOnce = 500
	// maxPages bounds a pass: a source that never ends is broken.
	maxPages = 20_000
	// maxPatience is for how long a throttled sync waits where it is; for longer it is put off.
	maxPatience = 20 * time.Second
	// maxWaits is how often it waits where it is for one page.
	maxWaits = 3
	// overlap is read twice, in case that a change was under way at the source when it was asked.
	overlap = time.Minute
	// keptFailures is how many failures are told of.
	keptFailures = 20
)

// errNothing is for jobs whose connector wants nothing done any more.
var (
	errGone   = errors.New("the connector was deleted")
	errPauses = errors.New("the connector is paused")
)

// Run runs the job of a sync, from where the last attempt came to.
func (r *Runner) Run(ctx context.Context, run *jobs.Run, args SyncArgs) error {
	err := r.run(ctx, run, args)
	if err == nil || ctx.Err() != nil || errors.Is(err, errGone) || errors.Is(err, errPauses) {
		return err
	}
	now := r.moment()
	state, _ := jobs.Decide(args.JobKind().Complete(), err, run.Job.Attempt, run.Job.MaxAttempts, now)
	noted := r.needs.Store.NoteFailure(context.WithoutCancel(ctx), run.Scope, args.ConnectorID, Failure{
		Job: run.Job.ID, At: now, Reason: reasonOf(err), IsGivenUp: state == jobs.Dead,
	})
	return errors.Join(err, noted)
}

// reasonOf is what a failure is in words for the connector's owner: what is the product's own is not shown.
func reasonOf(err error) string {
	var source *SourceError
	f, isFault := fault.As(err)
	switch {
	case errors.As(err, &source):
		return source.Reason
	case errors.Is(err, ErrSyncMoved):
		return ErrSyncMoved.Error()
	case isFault && len(f.Violations) > 0:
		return f.Violations[0].Pointer + " " + f.Violations[0].Detail
	case isFault:
		return f.Detail
	default:
		return "something went wrong on this side; it is tried again"
	}
}

func (r *Runner) run(ctx context.Context, run *jobs.Run, args SyncArgs) error {
	c, state, err := r.needs.Store.FindSync(ctx, run.Scope, args.ConnectorID)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return jobs.Cancel(errGone)
	case err != nil:
		return err
	case c.Paused:
		return jobs.Cancel(errPauses)
	}
	w := &pass{runner: r, run: run, args: args, connector: c, state: state}
	if err := w.open(); err != nil {
		return err
	}
	if state.Job != run.Job.ID || state.Version != c.Version || args.wantsMore(state) {
		if err := w.begin(ctx); err != nil {
			return err
		}
	}
	for w.state.Stage == Reading {
		if err := w.nextPage(ctx); err != nil {
			return w.verdictOn(err)
		}
	}
	for w.state.Stage == Deleting {
		if err := w.deleteSome(ctx); err != nil {
			return err
		}
	}
	return run.SetResult(w.state.result())
}

// pass is one attempt at a pass over a source.
type pass struct {
	runner    *Runner
	run       *jobs.Run
	args      SyncArgs
	connector Connector
	state     SyncState

	kind    Kind
	service *resource.Service
	shape   *transfers.Shape
	auth    string
	asked   time.Time
}

// open reads the connector's settings, and its credential.
func (w *pass) open() error {
	c := w.connector
	w.kind = kindOf(w.runner.needs.Kinds, c.Kind)
	for _, service := range w.runner.needs.Resources {
		if service.Definition.Plural == c.Resource {
			w.service = service
		}
	}
	if w.kind == nil || w.service == nil {
		return jobs.Permanent(&SourceError{Reason: "the kind or the resource of the connector was taken out of the product"})
	}
	shape, wrong := transfers.ReadShape(w.service.Definition, c.By, c.Mapping, c.History)
	if len(wrong) > 0 {
		return jobs.Permanent(fault.Values(wrong...))
	}
	w.shape = shape
	if c.AuthHeader != nil {
		value, err := w.runner.needs.Sealer.Open(c.AuthSealed, authBinding(c))
		if err != nil {
			return fmt.Errorf("open the credential of connector %s: %w", c.ID, err)
		}
		w.auth = string(value)
	}
	return nil
}

// begin begins a pass. It asks for what has changed since the last one, unless everything is wanted, or is due.
func (w *pass) begin(ctx context.Context) error {
	now := w.runner.moment()
	before, c := w.state, w.connector
	known := before.Known
	if known.Version != c.Version {
		known = Known{}
	}
	isDue := c.FullEveryHours > 0 && !now.Before(known.FullAt.Add(time.Duration(c.FullEveryHours)*time.Hour))
	next := SyncState{
		Pass: before.Pass + 1, Job: w.run.Job.ID, Version: c.Version, Stage: Reading, StartedAt: now, Known: known, Health: before.Health,
	}
	next.Health.LastJobID, next.Health.LastStartedAt = &w.run.Job.ID, &now
	if !w.args.Full && !isDue && !known.Until.IsZero() {
		next.Since = known.Until.Add(-overlap)
	}
	return w.advance(ctx, func(context.Context) (SyncState, error) { return next, nil })
}

// advance goes a step on, in a transaction.
func (w *pass) advance(ctx context.Context, step func(ctx context.Context) (SyncState, error)) error {
	var after SyncState
	err := w.runner.needs.Store.AdvanceSync(ctx, w.run.Scope, w.connector, w.state, func(ctx context.Context) (state SyncState, err error) {
		after, err = step(ctx)
		return after, err
	})
	if err != nil {
		return err
	}
	after.Step = w.state.Step + 1
	w.state = after
	return nil
}

// nextPage reads the page at hand and keeps its records.
func (w *pass) nextPage(ctx context.Context) error {
	if w.state.Pages >= maxPages {
		return &SourceError{Reason: fmt.Sprintf("the source has more than %d pages; ask for larger ones, or check the paging", maxPages), IsPermanent: true}
	}
	page, err := w.pull(ctx)
	if err != nil {
		return err
	}
	isFirst := w.state.Pages == 0
	switch {
	case page.IsUnchanged:
		return w.advance(ctx, func(context.Context) (SyncState, error) {
			after := w.state
			after.IsUnchanged = true
			return w.finished(after), nil
		})
	case page.Next != "" && (page.Next == w.state.Position || page.Next == w.state.Mark):
		return &SourceError{Reason: "the source's pages go round in a circle; check the paging", IsPermanent: true}
	case !isFirst && page.Digest != "" && page.Digest == w.state.Before && len(page.Records) > 0:
		return &SourceError{Reason: "the source answers the same page again and again; check the settings paging and param", IsPermanent: true}
	}
	skip := 0
	if page.Digest == w.state.Digest { // the attempt before was interrupted within this very page
		skip = min(w.state.Done, len(page.Records))
	}
	for {
		part := page.Records[skip:min(skip+keepAtOnce, len(page.Records))]
		isLast := skip+len(part) == len(page.Records)
		err := w.advance(ctx, func(ctx context.Context) (SyncState, error) {
			after, err := w.keep(ctx, part)
			after.Digest, after.Done = page.Digest, skip+len(part)
			if isFirst && !page.At.IsZero() {
				after.SourceAt = page.At
			}
			if isFirst {
				after.Validators = page.Validators
			}
			after.IsPartial = after.IsPartial || page.IsPartial
			if isLast {
				after.Position, after.Before, after.Digest, after.Done = page.Next, page.Digest, "", 0
				if after.Pages++; after.Pages&(after.Pages-1) == 0 { // at powers of two, by which any circle is found
					after.Mark = page.Next
				}
			}
			if isLast && page.Next == "" {
				after, err = w.allRead(ctx, after, err)
			}
			return after, err
		})
		if err != nil {
			return err
		}
		w.report()
		if skip += len(part); isLast {
			return nil
		}
	}
}

// pull asks for the page at hand, as fast as the source may be asked. A source that wants to be left alone for a moment is.
func (w *pass) pull(ctx context.Context) (Page, error) {
	c := w.connector
	ask := Ask{URL: c.URL, AuthValue: w.auth, Settings: c.Settings, Position: w.state.Position, Since: w.state.Since}
	if c.AuthHeader != nil {
		ask.AuthHeader = *c.AuthHeader
	}
	if w.state.Pages == 0 && !w.state.Since.IsZero() {
		ask.Validators = w.state.Known.Validators
	}
	for waits := 0; ; waits++ {
		if err := w.pace(ctx); err != nil {
			return Page{}, err
		}
		page, err := w.kind.Pull(ctx, ask)
		var source *SourceError
		if !errors.As(err, &source) || source.RetryAfter <= 0 || source.RetryAfter > maxPatience || waits == maxWaits {
			return page, err
		}
		w.run.Progress(w.state.Rows, 0, "waiting: "+source.Reason)
		if err := wait(ctx, source.RetryAfter); err != nil {
			return Page{}, err
		}
	}
}

// pace waits until the source may be asked again.
func (w *pass) pace(ctx context.Context) error {
	interval := time.Minute / time.Duration(max(w.connector.RequestsPerMinute, 1))
	if !w.asked.IsZero() {
		if err := wait(ctx, interval-w.runner.needs.Now().Sub(w.asked)); err != nil {
			return err
		}
	}
	w.asked = w.runner.needs.Now()
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err() //nolint:wrapcheck // the context's own
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the context's own
	}
}

// verdictOn says what becomes of a pass whose source failed: it is given up, put off, or tried again.
func (w *pass) verdictOn(err error) error {
	var source *SourceError
	switch {
	case !errors.As(err, &source):
		return err
	case source.IsPermanent:
		return jobs.Permanent(err)
	case source.RetryAfter > 0:
		return jobs.RetryAt(err, w.runner.moment().Add(source.RetryAfter))
	default:
		return err
	}
}

// report says how far the pass has come; how many records there are nobody knows.
func (w *pass) report() {
	c := w.state.Counts
	w.run.Progress(c.Rows, 0, fmt.Sprintf("%d pages: %d created, %d updated, %d failed", w.state.Pages, c.Created, c.Updated, c.Failed))
}

// scope is in whose name records change: the system's, for the job.
func (w *pass) scope() tenancy.Scope { return w.run.Scope }

func (r *Runner) moment() time.Time { return r.needs.Now().UTC().Truncate(time.Microsecond) }
