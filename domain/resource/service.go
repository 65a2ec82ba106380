package resource

import (
	"context"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Store keeps the records of any resource. Every call sees the scope's tenant only; another's record is NotFound.
type Store interface {
	// FindRecord returns one record.
	FindRecord(ctx context.Context, scope tenancy.Scope, d *Definition, id tenancy.ID, trash Trash) (Entity, error)
	// ListRecords returns up to one more than the limit, in the query's order; its position holds values of the sort
	// fields' kinds.
	ListRecords(ctx context.Context, scope tenancy.Scope, d *Definition, query Query) ([]Entity, error)
	// RankRecords is ListRecords for a query that is Ranked: those first that match best; its position begins with a
	// rank, a float32. Where very many match, in a first page that has no position, none has a rank and the sort alone
	// orders them; a position whose rank is nil goes on with that.
	RankRecords(ctx context.Context, scope tenancy.Scope, d *Definition, query Query) ([]Ranked, error)
	// InsertRecord writes the entity and the record of it in one transaction.
	InsertRecord(ctx context.Context, scope tenancy.Scope, d *Definition, e Entity, record Record) error
	// UpdateRecord loads one record and holds it, lets decide change it, and writes it with what decide returns, all in
	// one transaction. A nil record from decide means that nothing changed and nothing is written.
	UpdateRecord(ctx context.Context, scope tenancy.Scope, d *Definition, id tenancy.ID, trash Trash,
		decide func(Entity) (*Record, error)) (Entity, error)
	// Transact runs fn in one transaction, which the calls that fn makes with its context join. Within another one it is a
	// part of that: where it fails, what it did is undone, and the other one may go on. It runs fn again where
	// the transaction lost against another one: by a deadlock, or because a value was taken, or a record removed, that
	// fn had looked at.
	Transact(ctx context.Context, scope tenancy.Scope, fn func(ctx context.Context) error) error
	// FindRecords returns the records that have one of the values in the field, which is the id or unique, in one statement;
	// none for no values. A value may stand twice.
	FindRecords(ctx context.Context, scope tenancy.Scope, d *Definition, f *Field, values []any, how Finding) ([]Entity, error)
	// WriteRecords writes new and changed records and what is told of them, in one round trip. It is an Invalid fault
	// where a record comes to refer to one that is not there, or deleted.
	WriteRecords(ctx context.Context, scope tenancy.Scope, d *Definition, inserted, updated []Entity, records []Record) error
	// NextNumbers returns the next n numbers of a sequence, none of which a live record has. A number that was returned
	// is not returned again, unless the transaction that asked is rolled back.
	NextNumbers(ctx context.Context, scope tenancy.Scope, d *Definition, f *Field, n int) ([]string, error)
	// PurgeRecords removes up to limit records that were deleted before a time and that no other refers to, writes what
	// tell says of each, and returns how many they were.
	PurgeRecords(ctx context.Context, scope tenancy.Scope, d *Definition, before time.Time, limit int,
		tell func(id tenancy.ID) audit.Entry) (int, error)
}

// Finding is how records are found.
type Finding int

// The ways to find records. Those that hold do so until the transaction ends.
const (
	Look        Finding = iota // live records
	LookInTrash                // deleted ones too
	Hold                       // live ones, which nobody else may change meanwhile
	Keep                       // live ones, which nobody else may delete meanwhile
)

// Service is what a resource can do without any code of its own.
type Service struct {
	Definition *Definition

	store     Store
	history   audit.Store
	validator validation.Validator
	now       func() time.Time
}

// Dependencies are what services of resources stand on.
type Dependencies struct {
	Store     Store
	History   audit.Store
	Validator validation.Validator
	Now       func() time.Time
}

// NewService returns the service of one resource.
func NewService(d *Definition, deps Dependencies) *Service {
	return &Service{Definition: d, store: deps.Store, history: deps.History, validator: deps.Validator, now: deps.Now}
}

// List returns a page of records.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, q Query) (page.Page[Entity], error) {
	q.Request = q.Normalized()
	if len(q.After) > 0 {
		position, err := q.ParsePosition(q.After)
		if err != nil {
			return page.Page[Entity]{}, fault.New(fault.Malformed, "invalid_cursor",
				"The cursor does not fit this list; start again without it.").Because(err)
		}
		q.After = position
	}
	if q.Ranked {
		return s.rank(ctx, scope, q)
	}
	rows, err := s.store.ListRecords(ctx, scope, s.Definition, q)
	if err != nil {
		return page.Page[Entity]{}, err
	}
	return page.Of(rows, q.Request, func(e Entity) page.Position { return q.Position(e) }), nil
}

func (s *Service) rank(ctx context.Context, scope tenancy.Scope, q Query) (page.Page[Entity], error) {
	rows, err := s.store.RankRecords(ctx, scope, s.Definition, q)
	if err != nil {
		return page.Page[Entity]{}, err
	}
	ranked := page.Of(rows, q.Request, func(r Ranked) page.Position { return q.RankedPosition(r) })
	p := page.Page[Entity]{Items: make([]Entity, len(ranked.Items)), Next: ranked.Next, Prev: ranked.Prev}
	for i, r := range ranked.Items {
		p.Items[i] = r.Entity
	}
	return p, nil
}

// Find returns one record; deleted ones only where the trash is asked for.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID, trash Trash) (Entity, error) {
	return s.store.FindRecord(ctx, scope, s.Definition, id, trash)
}

// Create checks and keeps a new record; its id, version and times are set here.
func (s *Service) Create(ctx context.Context, scope tenancy.Scope, e Entity) error {
	if err := s.begin(scope, e); err != nil {
		return err
	}
	const tries = 10 // others may give by hand the very number that is next in turn
	inTurn := s.Definition.unnumbered(e)
	for try := 1; ; try++ {
		for _, f := range inTurn {
			if err := s.assign(ctx, scope, f, []Entity{e}, nil); err != nil {
				return err
			}
		}
		record, err := s.Definition.record(scope, Created, nil, e, e.Head().CreatedAt)
		if err != nil {
			return err
		}
		err = s.store.InsertRecord(ctx, scope, s.Definition, e, *record)
		isTaken := func(f *Field) bool { return fault.Is(err, s.Definition.taken(f).Code) }
		if try == tries || !slices.ContainsFunc(inTurn, isTaken) {
			return err
		}
	}
}

// Change loads a record, lets apply change it, checks it and keeps it. A change that changes nothing writes nothing.
func (s *Service) Change(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match Match, apply func(Entity) error) (Entity, error) {
	return s.Act(ctx, scope, id, match, Updated, apply)
}

// Act is Change under another name: a business act such as "placed", which its event carries.
func (s *Service) Act(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match Match, act string, apply func(Entity) error) (Entity, error) {
	return s.store.UpdateRecord(ctx, scope, s.Definition, id, Live, func(e Entity) (*Record, error) {
		if err := match.check(e.Head(), s.Definition.Name); err != nil {
			return nil, err
		}
		before := s.Definition.clone(e)
		changed, err := s.alter(e, before, act, apply)
		if err != nil || !changed {
			return nil, err // no record is the store's word for "nothing changed"
		}
		return s.moved(scope, act, before, e, nil)
	})
}

// begin makes a record a new one, and checks it.
func (s *Service) begin(scope tenancy.Scope, e Entity) error {
	now := s.moment()
	*e.Head() = Base{ID: tenancy.NewID(), TenantID: scope.Tenant, Version: 1, CreatedAt: now, UpdatedAt: now}
	s.Definition.reserve(e)
	return s.check(e)
}

// alter lets apply change a record, checks it, and says whether it is another one than before now.
func (s *Service) alter(e, before Entity, act string, apply func(Entity) error) (bool, error) {
	if err := apply(e); err != nil {
		return false, err
	}
	*e.Head() = *before.Head() // what is kept here is no caller's to change
	if err := s.check(e); err != nil {
		return false, err
	}
	if len(s.Definition.changes(before, e)) == 0 {
		return false, nil
	}
	if guard, ok := before.(ChangeGuard); ok && act == Updated {
		if err := guard.MayBecome(e); err != nil {
			return false, err
		}
	}
	return true, nil
}

func mayBeDeleted(e Entity) error {
	if guard, ok := e.(DeleteGuard); ok {
		return guard.MayBeDeleted()
	}
	return nil
}

// Delete moves a record to the trash.
func (s *Service) Delete(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match Match) error {
	_, err := s.store.UpdateRecord(ctx, scope, s.Definition, id, Live, func(e Entity) (*Record, error) {
		if err := match.check(e.Head(), s.Definition.Name); err != nil {
			return nil, err
		}
		if err := mayBeDeleted(e); err != nil {
			return nil, err
		}
		now := s.moment()
		return s.moved(scope, Deleted, e, e, &now)
	})
	return err
}

// Restore takes a record out of the trash. It is a Conflict where a unique value was taken meanwhile; a record that is
// live stays as it is.
func (s *Service) Restore(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match Match) (Entity, error) {
	return s.store.UpdateRecord(ctx, scope, s.Definition, id, WithTrash, func(e Entity) (*Record, error) {
		if err := match.check(e.Head(), s.Definition.Name); err != nil {
			return nil, err
		}
		if e.Head().DeletedAt == nil {
			return nil, nil //nolint:nilnil // no record is the store's word for "nothing changed"
		}
		return s.moved(scope, Restored, e, e, nil)
	})
}

// Purge removes, for good, up to limit records that were deleted before a time, and returns how many it removed. What
// other records refer to stays, as long as those do.
func (s *Service) Purge(ctx context.Context, scope tenancy.Scope, before time.Time, limit int) (int, error) {
	return s.store.PurgeRecords(ctx, scope, s.Definition, before, limit, func(id tenancy.ID) audit.Entry {
		return s.Definition.entry(scope, Purged, id, 0, s.moment())
	})
}

// History returns what was done to a record, newest first; also to one in the trash.
func (s *Service) History(ctx context.Context, scope tenancy.Scope, id tenancy.ID, request page.Request) (page.Page[audit.Entry], error) {
	if _, err := s.Find(ctx, scope, id, WithTrash); err != nil {
		return page.Page[audit.Entry]{}, err
	}
	return audit.NewService(s.history).List(ctx, scope,
		audit.Query{Request: request, Resource: s.Definition.Name, ResourceID: id})
}

// moved gives a record its next version and tells of it.
func (s *Service) moved(scope tenancy.Scope, act string, before, e Entity, deleted *time.Time) (*Record, error) {
	now := s.moment()
	head := e.Head()
	head.Version++
	head.UpdatedAt = now
	head.DeletedAt = deleted
	return s.Definition.record(scope, act, before, e, now)
}

// check brings the record into the form in which it is kept, and reports the rules that it breaks.
func (s *Service) check(e Entity) error {
	if n, ok := e.(Normalizer); ok {
		n.Normalize()
	}
	s.Definition.settle(e)
	violations := validation.Violations(s.validator, e)
	if c, ok := e.(Checker); ok {
		violations = append(violations, c.Check()...)
	}
	if len(violations) > 0 {
		return fault.Values(violations...)
	}
	return nil
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
