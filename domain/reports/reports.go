// Package reports owns what is said of a tenant's day: which reports there are, the figures in them, their versions, and
// who is sent them when.
//
// A report is kept as data, by tenant, kind, day and version, and laid out when somebody asks for it: as a page, a mail,
// a table. A day is one of the tenant's own calendar. A day that is run again has the version that it had, unless its
// data has changed since: then it has a new version, which says what changed. A kind is declared like a job; see Kind.
// The package reads no table and prints no PDF: a reader and a printer do.
package reports

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Head is a report without its figures.
type Head struct {
	TenantID tenancy.ID `json:"-"`
	ID       tenancy.ID `json:"id"`
	Kind     string     `json:"kind" example:"daily_sales" doc:"What is reported."`
	Day      Day        `json:"day" example:"2026-11-24" doc:"The day that it is about, in the organization's time zone."`
	Version  int64      `json:"version" example:"1" doc:"1 for the first; data that came late makes the next."`
	TimeZone string     `json:"time_zone" example:"Europe/Berlin" doc:"The time zone that the day was counted in."`
	StartsAt time.Time  `json:"starts_at" doc:"When the day began."`
	EndsAt   time.Time  `json:"ends_at" doc:"When the day ended."`
	// AsOf is when the figures were read, by the database's clock.
	AsOf time.Time `json:"as_of" doc:"When the figures were read."`
	// Changes are what differs from the version before; at most MaxChanges.
	Changes      []Change   `json:"changes" doc:"What differs from the version before; empty for the first."`
	CreatedAt    time.Time  `json:"created_at"`
	SupersededAt *time.Time `json:"superseded_at" doc:"When a later version took its place; null for the latest."`
}

// Report is a version of a day's report.
type Report struct {
	Head

	// Data is the kind's figures.
	Data json.RawMessage `json:"data" doc:"The figures; what they are depends on the kind."`
}

// Change is a figure that is another one than in the version before, in words.
type Change struct {
	Figure string `json:"figure" example:"EUR: revenue" doc:"Which figure."`
	From   string `json:"from" example:"1,200.00" doc:"What the version before said; empty where it had no such figure."`
	To     string `json:"to" example:"1,350.00" doc:"What this version says; empty where it has no such figure."`
}

// MaxChanges is how many changes are listed. The figures that matter most come first.
const MaxChanges = 50

// Query selects reports, the latest day first; zero values select all.
type Query struct {
	page.Request
	Kind string
	// From and To bound the day, both included.
	From, To Day
	// AllVersions has those listed too that a later one superseded.
	AllVersions bool
}

// Kept is a report about to be kept.
type Kept struct {
	Report

	// Differences compares the figures with those of the version before: nothing where they are the same.
	Differences func(before json.RawMessage) ([]Change, error)
}

// Store keeps reports.
type Store interface {
	// KeepReport saves a report as the next version of its day, unless it says what the latest says already, or was read
	// earlier than that: the latest is answered then. then is run in the same transaction, with what is answered.
	KeepReport(ctx context.Context, scope tenancy.Scope, report Kept, then func(context.Context, Report) error) (kept Report, isNew bool, err error)
	// ListReports returns up to one more than the limit, the latest day first, and of a day the latest version.
	ListReports(ctx context.Context, scope tenancy.Scope, query Query) ([]Head, error)
	// FindReport returns one; NotFound "report.not_found".
	FindReport(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Report, error)
	// FindLatestReport returns the latest version of a day's report; found is false where there is none.
	FindLatestReport(ctx context.Context, scope tenancy.Scope, kind string, day Day) (report Report, found bool, err error)
}

// ErrNotFound is the answer for a report that is not there.
func ErrNotFound() error {
	return fault.New(fault.NotFound, "report.not_found", "There is no such report; old ones are removed after a while.")
}

// capped is the most important of the changes.
func capped(changes []Change) []Change {
	return slices.Clip(changes[:min(len(changes), MaxChanges)])
}
