package transfers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// ExportStore hands records over as they all were at one moment.
type ExportStore interface {
	// Snapshot runs fn, once, over the state of the tenant's records at one moment.
	Snapshot(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context, s Snapshot) error) error
	// Transact runs fn in one transaction, which the calls that fn makes with its context join.
	Transact(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context) error) error
}

// Snapshot is the state of a tenant's records at one moment. It is good until Snapshot returns.
type Snapshot interface {
	// Count is how many records the query selects, whatever its limit.
	Count(ctx context.Context, d *resource.Definition, q resource.Query) (int64, error)
	// Each calls visit for each of them, in the query's order, whatever its limit. It ends with visit's first error. A
	// record is visit's for the time of the call.
	Each(ctx context.Context, d *resource.Definition, q resource.Query, visit func(resource.Entity) error) error
}

// Exported is what came of an export: its job's result.
type Exported struct {
	FileID tenancy.ID `json:"file_id"`
	// Rows is how many records the file holds.
	Rows int64 `json:"rows"`
}

// ExporterNeeds are what exports are made with.
type ExporterNeeds struct {
	Definitions []*resource.Definition
	Store       ExportStore
	Files       *files.Service
	// Rights says whether who asked may still read the records.
	Rights *access.Rights
	// Tell is told of each export that is done, in the transaction in which its file comes to be; nil tells nobody.
	Tell func(ctx context.Context, run *jobs.Run, e Export, done Exported) error
	Now  func() time.Time
}

// Exporter makes exports.
type Exporter struct {
	needs       ExporterNeeds
	definitions map[string]*resource.Definition
}

// NewExporter returns what runs the jobs of exports.
func NewExporter(needs ExporterNeeds) *Exporter {
	return &Exporter{needs: needs, definitions: byPlural(needs.Definitions)}
}

// exportStep is the name under which the ledger has what an export came to.
const exportStep = "export"

// Run makes an export, if who asked may still read the records: as it begins, and as the file comes to be. The file comes to
// be in one transaction with the note of it, so that an attempt that follows one that was cut off after it makes no second
// file; what is cut off before, or cancelled, leaves none.
func (x *Exporter) Run(ctx context.Context, run *jobs.Run, e Export) error {
	ref := jobs.Ref{Tenant: run.Job.Tenant, ID: run.Job.ID}
	done, found, err := noted(ctx, run, ref)
	if err == nil && !found {
		done, err = x.make(ctx, run, ref, e)
	}
	if err != nil {
		return x.needs.Rights.Settle(ctx, run, e.asker(), err)
	}
	return run.SetResult(done)
}

func noted(ctx context.Context, run *jobs.Run, ref jobs.Ref) (done Exported, found bool, err error) {
	kept, found, err := run.Effects.FindEffect(ctx, ref, exportStep)
	if err == nil && found {
		err = json.Unmarshal(kept, &done)
	}
	return done, found, err
}

func (x *Exporter) make(ctx context.Context, run *jobs.Run, ref jobs.Ref, e Export) (Exported, error) {
	d := x.definitions[e.Resource]
	if d == nil {
		return Exported{}, jobs.Permanent(fmt.Errorf("there are no %s any more", e.Resource))
	}
	q, problems := e.query(d)
	if len(problems) > 0 { // the resource has changed since it was asked for
		return Exported{}, jobs.Permanent(fault.Values(problems...))
	}
	// The system acts, since who asked may have signed out; the file is theirs.
	scope := run.Scope
	if err := x.needs.Rights.Check(ctx, scope, e.asker(), e.Permission()); err != nil {
		return Exported{}, err
	}
	scope.Actor.ID = e.AskedBy
	now := x.needs.Now().UTC()
	var done Exported
	received, err := x.needs.Files.Produce(ctx, scope, files.Meta{
		Name:    d.Plural + "-" + now.Format("2006-01-02-150405") + "." + string(e.Format),
		Purpose: files.ForExport, ContentType: e.Format.ContentType(), Permission: e.Permission(),
	}, func(w io.Writer) error {
		return x.needs.Store.Snapshot(ctx, scope, func(ctx context.Context, s Snapshot) (err error) {
			out, err := newRecordWriter(w, e.Format, d, q.Fields, now)
			if err != nil {
				return jobs.Permanent(err)
			}
			done.Rows, err = write(ctx, run, s, d, q, out)
			return err
		})
	})
	if err != nil {
		return Exported{}, final(err)
	}
	done.FileID = received.File().ID
	kept := done
	err = x.needs.Store.Transact(ctx, scope, func(ctx context.Context) error {
		kept, err = x.keep(ctx, run, ref, e, done, received)
		return err
	})
	switch {
	case errors.Is(err, errMadeAlready):
		x.needs.Files.Discard(ctx, received, nil)
	case err != nil:
		x.needs.Files.Discard(ctx, received, err)
		return Exported{}, final(err)
	}
	return kept, nil
}

// errMadeAlready undoes what an attempt did whose job was another worker's meanwhile, and done by it.
var errMadeAlready = errors.New("transfers: another attempt has made the file")

// keep makes a file of what was produced, notes it and tells of it. Of two attempts at once the first that notes it has
// it: the other waits for it here, and finds its note.
func (x *Exporter) keep(
	ctx context.Context, run *jobs.Run, ref jobs.Ref, e Export, done Exported, received files.Received,
) (Exported, error) {
	note, err := json.Marshal(done)
	if err != nil {
		return done, fmt.Errorf("write a note: %w", err)
	}
	if err := run.Effects.RecordEffect(ctx, ref, exportStep, note); err != nil {
		return done, err
	}
	first, _, err := noted(ctx, run, ref)
	if err != nil {
		return done, err
	}
	if first.FileID != done.FileID {
		return first, errMadeAlready
	}
	if err := x.needs.Rights.Check(ctx, run.Scope, e.asker(), e.Permission()); err != nil {
		return done, err
	}
	scope := run.Scope
	scope.Actor.ID = e.AskedBy
	if _, err := x.needs.Files.Keep(ctx, scope, received); err != nil {
		return done, err
	}
	if x.needs.Tell != nil {
		err = x.needs.Tell(ctx, run, e, done)
	}
	return done, err
}

// reportEvery is after how many records an export says how far it is.
const reportEvery = 1000

// write writes all records, and returns how many they are.
func write(
	ctx context.Context, run *jobs.Run, s Snapshot, d *resource.Definition, q resource.Query, out recordWriter,
) (int64, error) {
	rows, err := s.Count(ctx, d, q)
	if err != nil {
		return 0, err
	}
	passes := out.passes()
	total, written := rows*int64(len(passes)), int64(0)
	for _, p := range passes {
		run.Progress(written, total, p.doing)
		if err := p.begin(); err != nil {
			return 0, err
		}
		if err := s.Each(ctx, d, q, func(e resource.Entity) error {
			if written++; written%reportEvery == 0 {
				run.Progress(written, total, p.doing)
			}
			return p.write(e)
		}); err != nil {
			return 0, err
		}
	}
	run.Progress(total, total, "storing")
	return rows, out.close()
}

// final ends a job that would fail again: there is no room for its file, for one. What is away may be back.
func final(err error) error {
	if f, ok := fault.As(err); ok && f.Kind != fault.Unavailable && f.Kind != fault.Limited {
		return jobs.Permanent(err)
	}
	return err
}
