package resource

import (
	"context"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// The database may have rules that no struct knows of: a CHECK. What breaks one fails the statement, and with it all items of
// a bulk. Then, and only then, each item is tried by itself to find those that are to blame.

// maxBulkRounds bounds how often items are looked for that are to blame: while they are, others may come to be.
const maxBulkRounds = 3

// mayBeAnItems says whether the failure of a whole bulk may be that of one of its items. A value that was taken meanwhile is
// not: the transaction is run again for that, and finds who has it.
func mayBeAnItems(err error) bool { return err != nil && fault.KindOf(err) == fault.Invalid }

// blame tries each item by itself, keeps none, and returns the bulk with those marked as bad that the database refuses.
func (s *Service) blame(ctx context.Context, scope tenancy.Scope, b Bulk) (marked Bulk, found bool) {
	var refused map[int]error
	err := s.store.Transact(ctx, scope, func(ctx context.Context) error {
		w := s.newBulkWork(scope, b)
		refused = map[int]error{}
		if err := w.make(ctx); err != nil {
			return err
		}
		for i := range w.results {
			if w.results[i].Err != nil {
				continue
			}
			err := s.store.Transact(ctx, scope, func(ctx context.Context) error {
				var one kept
				if err := w.collect(i, &one); err != nil || len(one.records) == 0 {
					return err
				}
				return w.keep(ctx, one)
			})
			switch {
			case mayBeAnItems(err):
				refused[i] = s.Definition.placed(err)
			case err != nil:
				return err
			}
		}
		return errNothingDone
	})
	if len(refused) == 0 || !isNothingDone(err) {
		return b, false
	}
	b.Items = slices.Clone(b.Items)
	for i, reason := range refused {
		b.Items[i].Err = reason
	}
	return b, true
}

// placed is a fault of the database whose pointers are fields of the resource. A rule that is named for no field, since it
// is about several, is about the record.
func (d *Definition) placed(err error) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	c := *f
	c.Violations = slices.Clone(f.Violations)
	for i := range c.Violations {
		v := &c.Violations[i]
		if name := strings.TrimPrefix(v.Pointer, "/"); name != "" && d.Field(name) == nil {
			v.Pointer, v.Detail = "", "The record breaks the rule "+name+"."
		}
	}
	return &c
}
