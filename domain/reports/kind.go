package reports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Kind is a kind of report. Make one with Declare.
type Kind struct {
	// Name is unique among the kinds and never changes: reports are kept under it.
	Name string
	// Title heads the report.
	Title string
	// Days is how many days its figures go back, its own included.
	Days int

	read   func(ctx context.Context, scope tenancy.Scope, period Period) (data json.RawMessage, asOf time.Time, err error)
	facts  func(json.RawMessage) ([]Fact, error)
	layOut func(json.RawMessage, *Document) error
	late   func(now, before json.RawMessage) ([]Day, error)
}

// Declaration declares a kind whose figures are a D.
type Declaration[D any] struct {
	Name, Title string
	// Days is how many days the figures go back, the day included.
	Days int
	// Read reads the figures, all as of one moment, and says which.
	Read func(ctx context.Context, scope tenancy.Scope, period Period) (figures D, asOf time.Time, err error)
	// Facts are the figures by which two versions are compared, those that matter most first. Two versions that have the
	// same facts are the same.
	Facts func(D) []Fact
	// LayOut fills in the sections and the footer.
	LayOut func(D, *Document)
	// Late returns earlier days of whose data more is known than when the report of the day before was made; nil for a kind
	// that cannot tell.
	Late func(now, before D) []Day
}

// Declare makes a kind.
func Declare[D any](d Declaration[D]) Kind {
	parsed := func(data json.RawMessage) (figures D, err error) {
		if err := json.Unmarshal(data, &figures); err != nil {
			return figures, fmt.Errorf("read the figures of %s: %w", d.Name, err)
		}
		return figures, nil
	}
	return Kind{
		Name: d.Name, Title: d.Title, Days: d.Days,
		read: func(ctx context.Context, scope tenancy.Scope, period Period) (json.RawMessage, time.Time, error) {
			figures, asOf, err := d.Read(ctx, scope, period)
			if err != nil {
				return nil, time.Time{}, fmt.Errorf("read the figures of %s: %w", d.Name, err)
			}
			data, err := json.Marshal(figures)
			if err != nil {
				return nil, time.Time{}, fmt.Errorf("write the figures of %s: %w", d.Name, err)
			}
			return data, asOf, nil
		},
		facts: func(data json.RawMessage) ([]Fact, error) {
			figures, err := parsed(data)
			if err != nil {
				return nil, err
			}
			return d.Facts(figures), nil
		},
		layOut: func(data json.RawMessage, doc *Document) error {
			figures, err := parsed(data)
			if err == nil {
				d.LayOut(figures, doc)
			}
			return err
		},
		late: func(now, before json.RawMessage) ([]Day, error) {
			if d.Late == nil {
				return nil, nil
			}
			is, err := parsed(now)
			was, wrong := parsed(before)
			if err := errors.Join(err, wrong); err != nil {
				return nil, err
			}
			return d.Late(is, was), nil
		},
	}
}

// Kinds are all kinds of reports. A kind stands here once.
func Kinds(sales SalesReader) []Kind { return []Kind{SalesKind(sales)} }

// differences compares the figures of two versions.
func (k Kind) differences(before, after json.RawMessage) ([]Change, error) {
	was, err := k.facts(before)
	if err != nil {
		return nil, err
	}
	is, err := k.facts(after)
	if err != nil {
		return nil, err
	}
	return capped(differences(was, is)), nil
}

// Document lays a report of the kind out.
func (k Kind) Document(r Report, organization string) (Document, error) {
	zone := zoneOf(r.TimeZone)
	d := Document{
		Organization: organization, Title: k.Title, Subtitle: r.Day.Long(), Changes: r.Changes,
		Footer: []string{fmt.Sprintf("Days are counted in %s. Figures as of %s.", r.TimeZone, r.AsOf.In(zone).Format("2 January 2006, 15:04 MST"))},
	}
	if r.Version > 1 {
		d.Revision = fmt.Sprintf("This is version %d of the day's report: data that came later has changed it.", r.Version)
	}
	return d, k.layOut(r.Data, &d)
}

// zoneOf is a zone by its name. Names are checked where they come in; one that is not known any more is UTC.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}
