// Package audit owns the record of who did what, for people.
//
// An entry is written in the transaction of the change that it tells of, by whatever store makes that change, and is
// never altered afterwards: the database grants no UPDATE or DELETE on it. History of one resource is the same record
// read by resource.
package audit

import (
	"context"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Entry is one thing that somebody did.
type Entry struct {
	ID         tenancy.ID        `json:"id"`
	At         time.Time         `json:"at"`
	ActorKind  tenancy.ActorKind `json:"actor_kind"`
	ActorID    *tenancy.ID       `json:"actor_id"`
	RequestID  string            `json:"request_id"`
	Action     string            `json:"action"`
	Resource   string            `json:"resource"`
	ResourceID tenancy.ID        `json:"resource_id"`
	// Version is the resource's after the act; 0 where it has none.
	Version int64    `json:"version"`
	Changes []Change `json:"changes"`
}

// Change is one field before and after. Personal values are masked.
type Change struct {
	Field string `json:"field"`
	From  any    `json:"from"`
	To    any    `json:"to"`
}

// Mask hides a personal value and still lets two of them be told apart by eye: the first letter stays.
func Mask(value any) any {
	s, ok := value.(string)
	if !ok || s == "" {
		if value == nil {
			return nil
		}
		return "***"
	}
	first := string([]rune(s)[:1])
	if at := strings.LastIndexByte(s, '@'); at > 0 {
		return first + "***" + s[at:]
	}
	return first + "***"
}

// Query selects entries; zero values select all.
type Query struct {
	page.Request
	Action     string
	Resource   string
	ResourceID tenancy.ID
	ActorID    tenancy.ID
	From, To   time.Time
}

// Store reads entries, newest first.
type Store interface {
	ListAudit(ctx context.Context, scope tenancy.Scope, query Query) ([]Entry, error)
}

// Service reads the audit.
type Service struct{ store Store }

// NewService returns the service over a store.
func NewService(store Store) *Service { return &Service{store: store} }

// List returns one page, newest first.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, query Query) (page.Page[Entry], error) {
	query.Request = query.Normalized()
	rows, err := s.store.ListAudit(ctx, scope, query)
	if err != nil {
		return page.Page[Entry]{}, err
	}
	return page.Of(rows, query.Request, func(e Entry) page.Position { return page.Position{e.ID.String()} }), nil
}
