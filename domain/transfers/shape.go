package transfers

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Shape makes records of a resource of what other programs send, by the mapping of an import: its columns are whatever
// the sender calls its values. Texts are exact: numbers with a point, times by ISO 8601, UTC where they name no zone.
type Shape struct {
	definition *resource.Definition
	batcher    batcher
	columns    []string
}

// ReadShape reads a mapping, and says what is wrong with it. by is the unique text field that records are known by, which
// the mapping must take from a column. history says that what is history may be set.
func ReadShape(d *resource.Definition, by string, sent map[string]any, history bool) (*Shape, []fault.Violation) {
	s := &Shape{definition: d}
	var found []fault.Violation
	bad := func(pointer, code, detail string) {
		found = append(found, fault.Violation{Pointer: pointer, Code: code, Detail: detail})
	}
	f := d.Field(by)
	if f == nil || !f.Unique || f.Kind != resource.Text {
		bad("/by", "oneof", "must be one of: "+strings.Join(uniqueTexts(d), ", "))
		f = nil
	}
	if sent == nil {
		bad("/mapping", "required", `is required; say where each field comes from: {"name": "company.name"}`)
		return nil, found
	}
	m, wrong := readMapping(d, sent, history)
	found = append(found, wrong...)
	for _, part := range m.details {
		bad("/mapping/"+part.field.Name, "type", "cannot come from another file here; name the value that holds the list")
	}
	isKeyed := false
	for _, t := range m.targets {
		isKeyed = isKeyed || t.field == f && len(t.sources) > 0 && t.sources[0].value == nil
		for _, source := range t.sources {
			s.add(source.column)
		}
	}
	if f != nil && !isKeyed {
		bad("/mapping/"+by, "required", "is required: records are known by it")
	}
	if len(found) > 0 {
		return nil, found
	}
	h, err := newHeader("the record", s.columns)
	if err != nil {
		return nil, violationOf(err)
	}
	targets, err := h.bind(m.targets)
	if err != nil {
		return nil, violationOf(err)
	}
	s.batcher = batcher{locale: exactLocale(time.UTC), mode: resource.BulkUpsert, by: f, header: h, targets: targets}
	return s, nil
}

func violationOf(err error) []fault.Violation {
	f, _ := fault.As(err) // what is wrong with columns is always one
	return []fault.Violation{{Pointer: "/mapping", Code: f.Code, Detail: f.Detail}}
}

func uniqueTexts(d *resource.Definition) []string {
	var names []string
	for i := range d.Fields {
		if f := &d.Fields[i]; f.Unique && f.Kind == resource.Text {
			names = append(names, f.Name)
		}
	}
	return names
}

func (s *Shape) add(column string) {
	if column != "" && !slices.Contains(s.columns, column) {
		s.columns = append(s.columns, column)
	}
}

// Columns are the values that the mapping takes, in the order in which Keep wants them.
func (s *Shape) Columns() []string { return s.columns }

// Kept is what came of records.
type Kept struct {
	ImportCounts

	// Keys has an element for each record that was given.
	Keys []KeptKey
	// Failures are what is wrong with those that were refused; personal values are masked.
	Failures []ImportFailure
}

// KeptKey is what a record is known by.
type KeptKey struct {
	// Key is its value of the unique field, in the form in which it is kept; "" where it has none.
	Key string
	// Record is the one that it became; zero where it was refused.
	Record tenancy.ID
}

// Keep upserts records in the transaction of ctx; what is so already is not written. Each has a JSON value for each of the
// columns, numbers being json.Number; after is how many records came before, for what is said of failures.
func (s *Shape) Keep(ctx context.Context, scope tenancy.Scope, service *resource.Service, after int64, records [][]any) (Kept, error) {
	b := s.batcher
	b.service, b.scope = service, scope
	kept := Kept{Keys: make([]KeptKey, len(records))}
	b.settled = func(i int, r resource.BulkResult) { kept.Keys[i].Record = r.Entity.Head().ID }
	batch := make([]record, len(records))
	for i, values := range records {
		var err error
		r := row{number: after + int64(i) + 1, cells: make([]string, len(values))}
		var unfit *problem
		for n, value := range values {
			text := TextOf(value)
			r.cells[n] = Guard(text) // which reading takes off again
			if unfit == nil {
				unfit = s.unfit(n, value, text)
			}
		}
		if batch[i], _, err = b.record(&r, false); err != nil {
			return Kept{}, err
		}
		if unfit != nil {
			batch[i].fail(b.header, unfit)
		}
		b.prepare(&batch[i])
		kept.Keys[i].Key = s.keyOf(&batch[i])
	}
	refused, err := b.save(ctx, batch, &kept.ImportCounts)
	if err != nil {
		return Kept{}, err
	}
	for _, one := range refused {
		for _, f := range one.Failures {
			f.Value = b.shownValue(f)
			kept.Failures = append(kept.Failures, f)
		}
	}
	return kept, nil
}

// keyOf is what a record is known by, in the form in which it is kept.
func (s *Shape) keyOf(rec *record) string {
	e := s.definition.New()
	for _, v := range rec.values {
		if v.field == s.batcher.by {
			v.apply(e)
		}
	}
	if n, ok := e.(resource.Normalizer); ok {
		n.Normalize()
	}
	key, _ := s.batcher.by.Value(e).(string)
	return key
}
