package connectors

import (
	"context"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// What becomes of the records that a pass reads, and of those that it misses.

const (
	// maxKey is how long a key may be that is remembered, in bytes. Records with longer ones, or with a NUL in it, are
	// refused.
	maxKey = 500
	// deleteAtOnce is how many records one transaction deletes.
	deleteAtOnce = 200
	// fewLinks is up to how many records all may be deleted at once.
	fewLinks = 10
)

// keep keeps some records of a page, in the transaction of ctx.
func (w *pass) keep(ctx context.Context, records []any) (SyncState, error) {
	after := w.state
	columns := w.shape.Columns()
	values := make([][]any, len(records))
	for i, record := range records {
		values[i] = make([]any, len(columns))
		for n, column := range columns {
			values[i][n], _ = Value(record, column)
		}
	}
	kept, err := w.shape.Keep(ctx, w.scope(), w.service, after.Rows, values)
	if err != nil {
		return after, err
	}
	after.Rows += kept.Rows
	after.Created += kept.Created
	after.Updated += kept.Updated
	after.Unchanged += kept.Unchanged
	after.Failed += kept.Failed
	room := max(keptFailures-len(after.Failures), 0)
	after.Failures = append(append([]transfers.ImportFailure{}, after.Failures...), kept.Failures[:min(room, len(kept.Failures))]...)

	var links []Link
	at := map[string]int{}
	for _, k := range kept.Keys {
		if k.Key == "" {
			after.IsUnkeyed = true
		}
		if k.Key == "" || len(k.Key) > maxKey || strings.IndexByte(k.Key, 0) >= 0 {
			continue
		}
		n, known := at[k.Key]
		if !known {
			n = len(links)
			at[k.Key], links = n, append(links, Link{Key: k.Key})
		}
		if !k.Record.IsZero() {
			links[n].Record = k.Record
		}
	}
	return after, w.runner.needs.Store.SeeLinks(ctx, w.scope(), w.connector.ID, after.Pass, links)
}

// allRead says what comes behind the last page: deletions where they are wanted and everything was read, or the end. Where
// most of what is known would go, or the source has nothing at all, something is likelier wrong with the source than with
// the records, and nothing is deleted.
func (w *pass) allRead(ctx context.Context, after SyncState, err error) (SyncState, error) {
	if err != nil {
		return after, err
	}
	if !w.connector.DeleteMissing || after.IsPartial || after.IsUnkeyed {
		return w.finished(after), nil
	}
	all, unseen, err := w.runner.needs.Store.CountLinks(ctx, w.scope(), w.connector.ID, after.Pass)
	if err != nil {
		return after, err
	}
	isMost := after.Rows == 0 || all > fewLinks && 2*unseen > all
	switch {
	case unseen == 0:
		return w.finished(after), nil
	case isMost && !w.args.AllowDeletions:
		after.Withheld = unseen
		return w.finished(after), nil
	default:
		after.Stage = Deleting
		return after, nil
	}
}

// deleteSome deletes records that the source does not have any more.
func (w *pass) deleteSome(ctx context.Context) error {
	err := w.advance(ctx, func(ctx context.Context) (SyncState, error) {
		after := w.state
		store := w.runner.needs.Store
		links, err := store.ListUnseen(ctx, w.scope(), w.connector.ID, after.Pass, after.After, deleteAtOnce)
		if err != nil {
			return after, err
		}
		if len(links) == 0 {
			return w.finished(after), nil
		}
		after.After = links[len(links)-1].Key
		gone, err := w.remove(ctx, &after, links)
		if err != nil {
			return after, err
		}
		return after, store.DropLinks(ctx, w.scope(), w.connector.ID, gone)
	})
	if err == nil {
		w.report()
	}
	return err
}

// remove deletes records, and returns the keys that can be forgotten. A record whose state forbids it is told of and tried
// again with the next pass.
func (w *pass) remove(ctx context.Context, after *SyncState, links []Link) (gone []string, err error) {
	bulk := resource.Bulk{Mode: resource.BulkDelete}
	var keys []string
	for _, link := range links {
		if link.Record.IsZero() {
			gone = append(gone, link.Key)
			continue
		}
		bulk.Items, keys = append(bulk.Items, resource.BulkItem{ID: link.Record}), append(keys, link.Key)
	}
	results, err := w.service.Bulk(ctx, w.scope(), bulk)
	if err != nil {
		return nil, err
	}
	after.Failures = append([]transfers.ImportFailure{}, after.Failures...)
	for i, r := range results {
		switch {
		case r.Err == nil:
			after.Deleted++
			gone = append(gone, keys[i])
		case fault.KindOf(r.Err) == fault.NotFound, fault.Is(r.Err, "bulk_repeated"):
			gone = append(gone, keys[i])
		default:
			after.Failed++
			if f, _ := fault.As(r.Err); len(after.Failures) < keptFailures { // a bulk reports faults alone
				one := transfers.ImportFailure{Column: w.connector.By, Code: f.Code, Reason: f.Detail}
				if !w.service.Definition.Field(w.connector.By).Personal {
					one.Value = keys[i]
				}
				after.Failures = append(after.Failures, one)
			}
		}
	}
	return gone, nil
}

// finished is the state at the end of a pass. What is known of the source is good for the next one.
func (w *pass) finished(s SyncState) SyncState {
	now := w.runner.moment()
	s.Stage = Finished
	s.Known.Version = s.Version
	s.Known.Until = s.StartedAt
	if !s.SourceAt.IsZero() {
		s.Known.Until = s.SourceAt
	}
	if !s.IsPartial && !s.IsUnchanged {
		s.Known.FullAt, s.Known.Validators = s.StartedAt, Validators{}
		if s.Pages == 1 && s.Failed == 0 && s.Withheld == 0 {
			s.Known.Validators = s.Validators
		}
	}
	result := s.result()
	s.Health.LastSuccessAt, s.Health.LastError, s.Health.Failures, s.Health.LastResult = &now, nil, 0, &result
	return s
}
