package resource

import (
	"context"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Act is something that is done to a record besides changing it: an order is placed.
type Act struct {
	// Name is the verb, as it stands in the path: "place".
	Name string
	// Done is the past tense, as it stands in the event's type: "placed".
	Done string
	// Do does it, or says why it cannot be done.
	Do func(e Entity, now time.Time) error
}

// problem says what is wrong with the act's declaration; "" for nothing.
func (a Act) problem() string {
	switch {
	case !isName(a.Name) || !isName(a.Done) || a.Do == nil:
		return "needs a name and what is then done, in snake_case, and a method"
	case a.Name == "restore" || a.Name == "history":
		return "has the name of a route that every resource has"
	case slices.Contains([]string{Created, Updated, Deleted, Restored, Purged}, a.Done):
		return "has an event that means something else of every resource"
	default:
		return ""
	}
}

// ActOf makes an act of a method on the record.
func ActOf[T any](name, done string, do func(*T, time.Time) error) Act {
	return Act{Name: name, Done: done, Do: func(e Entity, now time.Time) error {
		return do(any(e).(*T), now) //nolint:forcetypeassert,errcheck // the definition's own records
	}}
}

// Perform does an act to a record and keeps it.
func (s *Service) Perform(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match Match, act Act) (Entity, error) {
	return s.Act(ctx, scope, id, match, act.Done, func(e Entity) error { return act.Do(e, s.moment()) })
}
