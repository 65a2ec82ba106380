package resource

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Trash says whether deleted records are seen.
type Trash string

// The views of the trash.
const (
	Live      Trash = ""
	WithTrash Trash = "with"
	TrashOnly Trash = "only"
)

// Op is how a filter compares.
type Op string

// The operators, as they stand in brackets behind the field's name. Eq with several values is "one of".
const (
	Eq   Op = "eq"
	Ne   Op = "ne"
	Gt   Op = "gt"
	Gte  Op = "gte"
	Lt   Op = "lt"
	Lte  Op = "lte"
	Null Op = "null"
	Any  Op = "any" // a list that holds one of the values
	All  Op = "all" // a list that holds each of them
)

// Filter is one condition; a list's filters all hold.
type Filter struct {
	Field *Field
	Op    Op
	// Values are of the field's kind: string, int64, bool, time.Time or tenancy.ID; one bool for Null.
	Values []any
	// Path is the key inside an object field.
	Path string
}

// Sort is one field of an order.
type Sort struct {
	Field *Field
	Desc  bool
}

// Query selects, orders and pages records.
type Query struct {
	page.Request
	Filters []Filter
	// Search is what is looked for, in words; "" for nothing.
	Search string
	// Ranked lists have the records first that match best, and among equals those first that the sort has first.
	Ranked bool
	// Sort always ends with the id, so that the order is total.
	Sort  []Sort
	Trash Trash
	// Fields are the ones to answer with; nil for all.
	Fields []string
	// Expand names the references whose records are answered with each.
	Expand []string
	// Cursor is as the caller sent it: the transport that sealed it opens it into Request.
	Cursor string
	// Canonical names the filters, the order and the trash in one form, so that a cursor can be bound to them.
	Canonical string
}

// The bounds of a query, so that none can be made costly by its size alone.
const (
	maxFilters      = 20
	maxFilterValues = 100
	maxSorts        = 5
	maxValueLength  = 1000
)

// isReserved says whether a parameter means something else than a field, in every list.
func isReserved(param string) bool {
	switch param {
	case "limit", "cursor", "sort", "trashed", "fields", "expand", "q":
		return true
	default:
		return false
	}
}

// ParseQuery reads a list's parameters. What it does not know or cannot read is a violation that names the parameter.
func (d *Definition) ParseQuery(params map[string][]string) (Query, error) {
	q := Query{Sort: d.DefaultSort}
	q.Limit = page.DefaultLimit
	var problems []fault.Violation
	bad := func(param, code, detail string) {
		problems = append(problems, fault.Violation{Pointer: clip(param), Code: code, Detail: detail})
	}
	reserved := 0
	for name := range params {
		if isReserved(name) {
			reserved++
		}
	}
	if len(params)-reserved > maxFilters {
		bad("filters", "too_many", fmt.Sprintf("are too many; at most %d", maxFilters))
		return Query{}, invalidQuery(problems)
	}
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := params[name]
		if len(values) != 1 {
			bad(name, "repeated", "is given more than once; give it once, with its values separated by commas")
			continue
		}
		value := values[0]
		switch name {
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > page.MaxLimit {
				bad(name, "limit", fmt.Sprintf("must be a whole number from 1 to %d", page.MaxLimit))
				continue
			}
			q.Limit = n
		case "cursor":
			q.Cursor = value
		case "sort":
			sorts, problem := d.parseSort(value)
			if problem != "" {
				bad(name, "sort", problem)
				continue
			}
			q.Sort = sorts
		case "q":
			search, code, problem := d.parseSearch(value)
			if problem != "" {
				bad(name, code, problem)
				continue
			}
			q.Search = search
		case "expand":
			q.Expand = d.parseExpand(value, func(detail string) { bad(name, "expand", detail) })
		case "trashed":
			q.Trash = Trash(value)
			if q.Trash != WithTrash && q.Trash != TrashOnly {
				bad(name, "trashed", "must be with or only; leave it out for live records")
			}
		case "fields":
			q.Fields = d.parseFields(value, func(detail string) { bad(name, "fields", detail) })
		default:
			filter, code, problem := d.parseFilter(name, value)
			if problem != "" {
				bad(name, code, problem)
				continue
			}
			q.Filters = append(q.Filters, filter)
		}
	}
	if len(problems) > 0 {
		return Query{}, invalidQuery(problems)
	}
	if q.Search != "" && params["sort"] == nil {
		q.Ranked, q.Sort = true, []Sort{{Field: d.byName["id"], Desc: true}}
	}
	// However the parameters are spelled, the same conditions are the same query.
	slices.SortStableFunc(q.Filters, func(a, b Filter) int {
		return cmp.Or(cmp.Compare(a.Field.Name, b.Field.Name), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Op, b.Op))
	})
	q.Canonical = q.canonical()
	return q, nil
}

func invalidQuery(problems []fault.Violation) error {
	return &fault.Error{
		Kind: fault.Malformed, Code: "invalid_query",
		Detail: "One or more query parameters are not valid; see errors.", Violations: problems,
	}
}

func (d *Definition) parseSort(value string) ([]Sort, string) {
	var sorts []Sort
	for name := range strings.SplitSeq(value, ",") {
		name, desc := strings.CutPrefix(name, "-")
		f := d.byName[name]
		if f == nil || !f.Sort {
			return nil, fmt.Sprintf("cannot sort by %q; one or more of: %s, each with a leading - for descending",
				clip(name), strings.Join(d.names(func(f *Field) bool { return f.Sort }), ", "))
		}
		if slices.ContainsFunc(sorts, func(s Sort) bool { return s.Field == f }) {
			return nil, fmt.Sprintf("names %q twice", name)
		}
		sorts = append(sorts, Sort{Field: f, Desc: desc})
	}
	if len(sorts) > maxSorts {
		return nil, fmt.Sprintf("names too many fields; at most %d", maxSorts)
	}
	if at := slices.IndexFunc(sorts, func(s Sort) bool { return s.Field.Name == "id" }); at >= 0 {
		return sorts[:at+1], "" // behind the id nothing is left to order
	}
	return append(sorts, Sort{Field: d.byName["id"], Desc: sorts[len(sorts)-1].Desc}), ""
}

func (d *Definition) parseExpand(value string, bad func(string)) []string {
	references := d.References()
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		switch {
		case references[name] == nil && len(references) == 0:
			bad("is not taken here: a " + d.Name + " refers to nothing")
			return nil
		case references[name] == nil:
			bad(fmt.Sprintf("there is nothing called %q to expand; one or more of: %s", clip(name),
				strings.Join(slices.Sorted(maps.Keys(references)), ", ")))
			return nil
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names
}

func (d *Definition) parseFields(value string, bad func(string)) []string {
	var fields []string
	for name := range strings.SplitSeq(value, ",") {
		if d.byName[name] == nil {
			bad(fmt.Sprintf("there is no field %q; the fields are: %s", clip(name),
				strings.Join(d.names(func(*Field) bool { return true }), ", ")))
			return nil
		}
		if !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	return fields
}

func (d *Definition) names(keep func(*Field) bool) []string {
	var names []string
	for i := range d.Fields {
		if keep(&d.Fields[i]) {
			names = append(names, d.Fields[i].Name)
		}
	}
	return names
}

// clip keeps what a caller sent short when it is said back.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// textOf returns the value in the one form that canonical queries and cursors use.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case tenancy.ID:
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

func (q *Query) canonical() string {
	var b strings.Builder
	for _, s := range q.Sort {
		fmt.Fprintf(&b, "s%t%q", s.Desc, s.Field.Name)
	}
	fmt.Fprintf(&b, "t%q", q.Trash)
	if q.Search != "" {
		fmt.Fprintf(&b, "q%t%q", q.Ranked, q.Search)
	}
	for _, f := range q.Filters {
		fmt.Fprintf(&b, "f%q%q%q", f.Field.Name, f.Path, f.Op)
		for _, v := range f.Values {
			fmt.Fprintf(&b, "%T%q", v, textOf(v))
		}
	}
	return b.String()
}
