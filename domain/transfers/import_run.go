package transfers

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Run runs the job of an import, from where the last attempt came to.
func (s *Imports) Run(ctx context.Context, run *jobs.Run, args ImportArgs) error {
	return s.needs.Rights.Settle(ctx, run, args.asker(), s.run(ctx, run, args))
}

func (s *Imports) run(ctx context.Context, run *jobs.Run, args ImportArgs) (err error) {
	state, err := s.needs.Store.FindImport(ctx, run.Scope, args.Import)
	if err != nil {
		return verdictOn(err)
	}
	w := &importRun{imports: s, run: run, args: args, state: state}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(ctx); err != nil {
		return verdictOn(err)
	}
	var refused bool
	if args.Request.Atomic || args.Request.DryRun {
		refused, err = w.whole(ctx)
	} else {
		err = w.inBatches(ctx)
	}
	if err != nil {
		return verdictOn(err)
	}
	result, err := w.result(ctx)
	if err != nil {
		return verdictOn(err)
	}
	if result.Refused = refused; refused {
		result.Created, result.Updated, result.Unchanged = 0, 0, 0
	}
	return run.SetResult(result)
}

// verdictOn says that a mistake in what was asked, or in a file, is not mended by trying again.
func verdictOn(err error) error {
	f, ok := fault.As(err)
	if ok && (f.Kind == fault.Invalid || f.Kind == fault.NotFound) {
		return jobs.Permanent(err)
	}
	return err
}

// importRun is one attempt at an import.
type importRun struct {
	imports *Imports
	run     *jobs.Run
	args    ImportArgs
	state   ImportState

	batcher
	documents map[tenancy.ID]document
	main      files.File
	rows      table
	ignored   []string
	// refused are the rows of an import that keeps nothing until its end; nil where the store keeps them.
	refused *failedRows
}

func (w *importRun) close() error {
	var all []error
	for _, d := range w.documents {
		all = append(all, d.close())
	}
	for _, d := range w.details {
		all = append(all, d.rows.close())
	}
	if w.refused != nil {
		all = append(all, w.refused.close())
	}
	return errors.Join(all...)
}

// open opens the files, finds the columns and reads the rows that belong to others.
func (w *importRun) open(ctx context.Context) error {
	in := w.args.Request
	service := w.imports.service(in.Resource)
	if service == nil {
		return badFile("resource", "There is no resource "+shortened(in.Resource)+" any more.")
	}
	l, wrong := in.Format.check()
	m, more := readMapping(service.Definition, in.Mapping, w.args.History)
	if wrong = append(wrong, more...); len(wrong) > 0 {
		return fault.Values(wrong...)
	}
	w.batcher = batcher{service: service, locale: l, mode: in.Mode, by: service.Definition.Field(in.By), scope: tenancy.Scope{
		Tenant: w.run.Scope.Tenant, RequestID: w.run.Scope.RequestID, Trace: w.run.Scope.Trace, Actor: tenancy.Actor{Kind: w.args.Actor.Kind, ID: w.args.Actor.ID},
	}}
	if err := w.checkRights(ctx); err != nil {
		return err
	}
	w.documents = map[tenancy.ID]document{}
	book, err := w.document(ctx, in.FileID)
	if err != nil {
		return err
	}
	if err := w.restart(book); err != nil {
		return err
	}
	if m.automatic {
		w.targets, w.ignored = w.header.guess(service.Definition.Fields, w.args.History)
		m.details = w.guessDetails(book)
	} else if w.targets, err = w.header.bind(m.targets); err != nil {
		return err
	}
	if len(w.targets) == 0 && len(m.details) == 0 {
		return badFile("columns", "No column is named as a field of a "+service.Definition.Name+" is; rename them, or send a mapping.")
	}
	for _, d := range m.details {
		if err := w.openDetails(ctx, d, m.automatic); err != nil {
			return err
		}
	}
	return nil
}

// document opens a file, once.
func (w *importRun) document(ctx context.Context, id tenancy.ID) (document, error) {
	if d, ok := w.documents[id]; ok {
		return d, nil
	}
	file, err := w.imports.needs.Files.Find(ctx, w.run.Scope, id)
	if err != nil {
		return nil, err
	}
	if id == w.args.Request.FileID {
		w.main = file
	}
	d, err := openDocument(ctx, w.imports.needs.Files, file, w.args.Request.Format)
	if err == nil {
		w.documents[id] = d
	}
	return d, err
}

// restart reads the main table from its beginning.
func (w *importRun) restart(book document) error {
	t, err := book.open(w.args.Request.Sheet)
	if err != nil {
		return err
	}
	w.rows = t
	w.header, err = readHeader(t, "the file")
	return err
}

// readHeader reads the first row of a table, which names the columns.
func readHeader(t table, what string) (*header, error) {
	for {
		r, err := t.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, badFile("empty", "There is nothing in "+what+"; begin with a row of the columns' names.")
		case err != nil:
			return nil, err
		case r.isBlank():
			continue
		case r.problem != nil:
			return nil, badFile("columns", fmt.Sprintf("The first row of %s, which names the columns, %s.", what, r.problem.reason))
		}
		return newHeader(what, r.cells)
	}
}

// guessDetails takes the sheets that are named as lists are for the rows of their elements. The first column there names
// the row to which they belong.
func (w *importRun) guessDetails(book document) (all []detail) {
	fields := w.service.Definition.Fields
	for i := range fields {
		if f := &fields[i]; len(f.Items()) > 0 && !f.ReadOnly && book.has(f.Name) {
			all = append(all, detail{field: f, sheet: f.Name})
		}
	}
	return all
}

// openDetails reads the rows of a list's elements.
func (w *importRun) openDetails(ctx context.Context, d detail, automatic bool) error { //nolint:revive // a mapping is automatic or is not
	id := d.file
	if id.IsZero() {
		id = w.args.Request.FileID
	}
	book, err := w.document(ctx, id)
	if err != nil {
		return err
	}
	t, err := book.open(d.sheet)
	if err != nil {
		return err
	}
	h, err := readHeader(t, "the rows of "+d.field.Name)
	if err != nil {
		return err
	}
	opened := openedDetail{field: d.field, header: h}
	if automatic {
		items := d.field.Items()
		opened.targets, _ = h.guess(items, w.args.History)
		d.key = h.names[0]
		d.parent = d.key
	} else if opened.targets, err = h.bind(d.targets); err != nil {
		return err
	}
	key, err := h.find(d.key)
	if err != nil {
		return err
	}
	if opened.parent, err = w.header.find(d.parent); err != nil {
		return err
	}
	w.run.Progress(0, 0, "reading "+d.field.Name)
	if opened.rows, err = readDetails(ctx, t, key); err != nil {
		return err
	}
	w.details = append(w.details, opened)
	return nil
}

// inBatches keeps the rows batch by batch, each with the mark how far that is.
func (w *importRun) inBatches(ctx context.Context) error {
	reading := w.readAhead(ctx)
	defer reading.stop()
	for !w.state.Done {
		next, err := reading.next()
		if err != nil {
			return err
		}
		if len(next.records) > 0 || next.broken != nil {
			err := w.advance(ctx, func(ctx context.Context) (ImportState, []FailedRow, error) {
				return w.keep(ctx, w.state, next)
			})
			if err != nil {
				return err
			}
		}
		w.report(next)
		if !next.last || w.state.Done {
			continue
		}
		if err := w.tellOrphans(ctx); err != nil {
			return err
		}
		err = w.advance(ctx, func(context.Context) (ImportState, []FailedRow, error) {
			after := w.state
			after.Done = true
			return after, nil, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// advance goes a step on, in a transaction.
func (w *importRun) advance(ctx context.Context, step func(ctx context.Context) (ImportState, []FailedRow, error)) error {
	after := w.state
	err := w.imports.needs.Store.AdvanceImport(ctx, w.run.Scope, w.args.Import, w.state,
		func(ctx context.Context) (ImportState, []FailedRow, error) {
			state, failed, err := step(ctx)
			if err == nil {
				err = w.checkRights(ctx)
			}
			after = state
			return state, failed, err
		})
	if err != nil {
		return err
	}
	after.Step = w.state.Step + 1
	w.state = after
	return nil
}

// checkRights refuses to go on where who asked may not write the records any more.
func (w *importRun) checkRights(ctx context.Context) error {
	return w.imports.needs.Rights.Check(ctx, w.run.Scope, w.args.asker(), w.args.permissions(w.service.Definition)...)
}

// keep keeps one batch, and says what came of it.
func (w *importRun) keep(ctx context.Context, before ImportState, b batch) (ImportState, []FailedRow, error) {
	after := before
	failed, err := w.save(ctx, b.records, &after.ImportCounts)
	if err != nil {
		return before, nil, err
	}
	if len(b.records) > 0 {
		after.Row = b.records[len(b.records)-1].row.number
	}
	if b.broken != nil {
		f, _ := fault.As(b.broken)
		after.Incomplete, after.Done = true, true
		after.Rows++
		after.Failed++
		failed = append(failed, FailedRow{Row: after.Row + 1, Failures: []ImportFailure{{Row: after.Row + 1, Code: f.Code, Reason: f.Detail}}})
	}
	return after, failed, nil
}

// report says how far the import has come, in bytes, and what came of it.
func (w *importRun) report(b batch) {
	c := w.state.ImportCounts
	w.run.Progress(min(b.position, b.size), b.size, fmt.Sprintf("%d rows: %d created, %d updated, %d failed", c.Rows, c.Created, c.Updated, c.Failed))
}

// tellOrphans refuses the rows that belong to no row of the file.
func (w *importRun) tellOrphans(ctx context.Context) error {
	var pending []FailedRow
	flush := func() error {
		if len(pending) == 0 {
			return nil
		}
		err := w.advance(ctx, func(context.Context) (ImportState, []FailedRow, error) { return refuse(w.state, pending), pending, nil })
		pending = pending[:0]
		return err
	}
	err := w.eachOrphan(w.state.Orphans, func(row FailedRow) error {
		if pending = append(pending, row); len(pending) < batchRows {
			return ctx.Err()
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// refuse counts rows that belong to none.
func refuse(state ImportState, orphans []FailedRow) ImportState {
	n := int64(len(orphans))
	state.Orphans += n
	state.Rows += n
	state.Failed += n
	return state
}

// eachOrphan calls visit for those behind the first so many.
func (w *importRun) eachOrphan(after int64, visit func(FailedRow) error) error {
	n := int64(0)
	for i := range w.details {
		d := &w.details[i]
		err := d.rows.orphans(func(r *row) error {
			if n++; n <= after {
				return nil
			}
			return visit(FailedRow{Row: r.number, Failures: []ImportFailure{d.orphan(r)}})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// errNothingKept rolls back what was only tried, or has bad rows and is atomic.
var errNothingKept = errors.New("transfers: nothing of the import is kept")

// whole does all of it in one transaction, and keeps it where that was asked and no row is bad.
func (w *importRun) whole(ctx context.Context) (refused bool, err error) {
	if w.state.Done {
		return false, nil
	}
	if w.refused, err = newFailedRows(); err != nil {
		return false, err
	}
	var tried ImportState
	before := w.state
	err = w.advance(ctx, func(ctx context.Context) (ImportState, []FailedRow, error) {
		w.state = before
		tried, err = w.tryAll(ctx)
		if err == nil && (w.args.Request.DryRun || tried.Failed > 0) {
			err = errNothingKept
		}
		tried.Done = true
		return tried, nil, err
	})
	if errors.Is(err, errNothingKept) {
		w.state = tried
		return !w.args.Request.DryRun || w.args.Request.Atomic && tried.Failed > 0, nil
	}
	return false, err
}

// tryAll goes through all rows, in the transaction of ctx.
func (w *importRun) tryAll(ctx context.Context) (ImportState, error) {
	if err := w.refused.restart(); err != nil {
		return w.state, err
	}
	if err := w.restart(w.documents[w.args.Request.FileID]); err != nil {
		return w.state, err
	}
	reading := w.readAhead(ctx)
	defer reading.stop()
	for last := false; !last; {
		next, err := reading.next()
		if err != nil {
			return w.state, err
		}
		after, failed, err := w.keep(ctx, w.state, next)
		if err == nil {
			err = w.refused.add(failed...)
		}
		if err != nil {
			return w.state, err
		}
		last, w.state = next.last, after
		w.report(next)
	}
	if w.state.Incomplete {
		return w.state, nil
	}
	err := w.eachOrphan(0, func(row FailedRow) error {
		w.state = refuse(w.state, []FailedRow{row})
		return w.refused.add(row)
	})
	return w.state, err
}
