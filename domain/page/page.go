// Package page owns keyset pages: what a list is asked for and what it answers.
//
// A position is the sort values of the row that a page ends at, with the id last; a transport seals it into an opaque
// cursor. Stores are asked for one row more than the limit, which is how the end is known without a count.
package page

import (
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// The limits of a page.
const (
	DefaultLimit = 25
	MaxLimit     = 100
)

// Position is where a page ends: the values of the sort fields of its last row as text, the id last. A nil entry is a
// value that is null.
type Position []any

// ID is the id that the position ends with. Where it has none it was not given for this list.
func (p Position) ID() (tenancy.ID, error) {
	if len(p) > 0 {
		if text, ok := p[len(p)-1].(string); ok {
			if id, err := tenancy.ParseID(text); err == nil {
				return id, nil
			}
		}
	}
	return tenancy.ID{}, fault.New(fault.Malformed, "invalid_cursor",
		"The cursor does not fit this list; start again without it.")
}

// Request asks for a page.
type Request struct {
	// Limit is how many rows, 1 to 100; 0 is 25.
	Limit int
	// After is the row that the page follows in the list's order; empty for the first page.
	After Position
	// Backward asks for the page that ends just before After instead.
	Backward bool
}

// Normalized fills in the default limit.
func (r Request) Normalized() Request {
	if r.Limit <= 0 {
		r.Limit = DefaultLimit
	}
	r.Limit = min(r.Limit, MaxLimit)
	return r
}

// Page is part of a list. Next and Prev are empty at its ends.
type Page[T any] struct {
	Items []T
	Next  Position
	Prev  Position
}

// Of cuts the page from rows, which hold up to one more than the limit, in the order that they were read: for a
// backward page from its last row to its first.
func Of[T any](rows []T, request Request, position func(T) Position) Page[T] {
	more := len(rows) > request.Limit
	if more {
		rows = rows[:request.Limit]
	}
	if request.Backward {
		reversed := make([]T, len(rows))
		for i, row := range rows {
			reversed[len(rows)-1-i] = row
		}
		rows = reversed
	}
	p := Page[T]{Items: rows}
	if len(rows) == 0 {
		return p
	}
	first, last := position(rows[0]), position(rows[len(rows)-1])
	switch {
	case request.Backward:
		p.Next = last
		if more {
			p.Prev = first
		}
	default:
		if more {
			p.Next = last
		}
		if len(request.After) > 0 {
			p.Prev = first
		}
	}
	return p
}
