package transfers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// ExportFormat is what an export is written as.
type ExportFormat string

// The formats.
const (
	// CSV is RFC 4180 in UTF-8: a line of names, and then a line for each record.
	CSV ExportFormat = "csv"
	// XLSX is an Office Open XML workbook (ECMA-376), with a sheet of its own for what belongs to the records.
	XLSX ExportFormat = "xlsx"
	// JSONL is a JSON object on each line, as the API answers it.
	JSONL ExportFormat = "jsonl"
)

// ExportFormats are all of them.
func ExportFormats() []ExportFormat { return []ExportFormat{CSV, XLSX, JSONL} }

// ContentType is the media type of files in the format.
func (f ExportFormat) ContentType() string {
	switch f {
	case CSV:
		return "text/csv"
	case XLSX:
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case JSONL:
		return "application/x-ndjson"
	}
	return ""
}

// ExportInput is what somebody asks for.
type ExportInput struct {
	Resource string       `json:"resource" validate:"required" doc:"Whose records: the name of a list, such as customers." example:"customers"`
	Format   ExportFormat `json:"format" validate:"required,oneof=csv xlsx jsonl" doc:"What the file is written as." example:"csv"`
	// Filter are a list's parameters by name. A list of values is the same as its values with commas between them.
	Filter map[string]any `json:"filter" doc:"The parameters of the list that choose records: its filters by name, q and trashed. A value is text as in the list's query, a number, true, false, or a list of those."`
	Fields []string       `json:"fields" validate:"max=100" doc:"The fields to write, in their order; all of them where it is left out." example:"[\"code\",\"name\"]"`
	Sort   string         `json:"sort" doc:"The order, as a list's sort." example:"-created_at"`
}

// Export is an export as it was asked for. It is the arguments of the job that makes it.
type Export struct {
	Resource string       `json:"resource"`
	Format   ExportFormat `json:"format"`
	// Filter are parameters as they stand in a list's query.
	Filter map[string]string `json:"filter,omitempty"`
	Fields []string          `json:"fields,omitempty"`
	Sort   string            `json:"sort,omitempty"`
	// AskedBy is the user or key, as AskedAs says; zero for the system.
	AskedBy tenancy.ID        `json:"asked_by"`
	AskedAs tenancy.ActorKind `json:"asked_as"`
}

// JobKind declares the job. Half an hour writes some ten million rows; the state of the records that it reads cannot be
// cleaned up behind it for as long.
func (Export) JobKind() jobs.Kind {
	return jobs.Kind{Name: "transfers.export", Queue: jobs.Transfers, MaxAttempts: 5, Timeout: 30 * time.Minute, MaxRunning: 2}
}

// Permission is what one needs to ask for it, and to read its file.
func (e Export) Permission() string { return e.Resource + ":read" }

func (e Export) asker() access.Asker { return access.Asker{Kind: e.AskedAs, ID: e.AskedBy} }

// Exports takes orders for exports.
type Exports struct {
	definitions map[string]*resource.Definition
	queue       jobs.Queue
}

// NewExports returns the service for records of the definitions.
func NewExports(definitions []*resource.Definition, queue jobs.Queue) *Exports {
	return &Exports{definitions: byPlural(definitions), queue: queue}
}

func byPlural(definitions []*resource.Definition) map[string]*resource.Definition {
	all := make(map[string]*resource.Definition, len(definitions))
	for _, d := range definitions {
		all[d.Plural] = d
	}
	return all
}

// Read makes an export of what was asked for. It is an Invalid fault that names every mistake: in filters, fields and
// order those that the list itself would name.
func (x *Exports) Read(in ExportInput) (Export, error) {
	var problems []fault.Violation
	bad := func(pointer, code, detail string) {
		problems = append(problems, fault.Violation{Pointer: pointer, Code: code, Detail: detail})
	}
	d := x.definitions[in.Resource]
	if d == nil {
		bad("/resource", "oneof", "must be one of: "+strings.Join(slices.Sorted(maps.Keys(x.definitions)), ", "))
	}
	if !slices.Contains(ExportFormats(), in.Format) {
		bad("/format", "oneof", "must be one of: csv, xlsx, jsonl")
	}
	if in.Fields != nil && len(in.Fields) == 0 {
		bad("/fields", "min", "names no field; leave it out for all of them")
	}
	if len(in.Fields) > maxFields {
		bad("/fields", "max", fmt.Sprintf("names more fields than %d", maxFields))
	}
	if at := slices.IndexFunc(in.Fields, func(name string) bool { return strings.Contains(name, ",") }); at >= 0 {
		bad(fmt.Sprintf("/fields/%d", at), "fields", "is one name with a comma in it; name each field by itself")
	}
	e := Export{Resource: in.Resource, Format: in.Format, Fields: in.Fields, Sort: in.Sort}
	for _, name := range slices.Sorted(maps.Keys(in.Filter)) {
		text, problem := parameter(name, in.Filter[name])
		if problem != "" {
			bad("/filter/"+pointerTo(name), "value", problem)
			continue
		}
		if e.Filter == nil {
			e.Filter = make(map[string]string, len(in.Filter))
		}
		e.Filter[name] = text
	}
	if d != nil {
		_, found := e.query(d)
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return Export{}, fault.Values(problems...)
	}
	if data, err := json.Marshal(e); err != nil || len(data) > maxExport {
		return Export{}, fault.Values(fault.Violation{
			Pointer: "/filter", Code: "too_long", Detail: fmt.Sprintf("takes more than %d bytes with the rest; look for fewer values at once", maxExport),
		})
	}
	return e, nil
}

// maxFields is how many fields may be named, as the input's tag says.
const maxFields = 100

// maxExport is how large an export's order may be: a job's arguments, less what is added to them.
const maxExport = jobs.MaxArgs - 1<<10

// Start has an export made for the scope's actor, and returns the job's id.
func (x *Exports) Start(ctx context.Context, scope tenancy.Scope, e Export) (tenancy.ID, error) {
	e.AskedBy, e.AskedAs = scope.Actor.ID, scope.Actor.Kind
	done, err := jobs.Enqueue(ctx, x.queue, scope, e)
	return done.ID, err
}

// query is the list's query for the records, or what is wrong with it, where that stands in the input.
func (e Export) query(d *resource.Definition) (resource.Query, []fault.Violation) {
	params := make(map[string][]string, len(e.Filter)+2)
	for name, value := range e.Filter {
		params[name] = []string{value}
	}
	if len(e.Fields) > 0 {
		params["fields"] = []string{strings.Join(e.Fields, ",")}
	}
	if e.Sort != "" {
		params["sort"] = []string{e.Sort}
	}
	q, err := d.ParseQuery(params)
	if err != nil {
		var found []fault.Violation
		if f, ok := fault.As(err); ok {
			found = f.Violations
		}
		for i := range found {
			found[i].Pointer = place(found[i].Pointer)
		}
		return q, found
	}
	q.Ranked = false // a file is read from its beginning to its end: an order by matches says nothing there
	return q, nil
}

// place is where in the input a list's parameter stands.
func place(param string) string {
	switch param {
	case "fields", "sort":
		return "/" + param
	case "filters":
		return "/filter"
	default:
		return "/filter/" + pointerTo(param)
	}
}

// pointerTo is a name as it stands in an RFC 6901 pointer.
func pointerTo(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// parameter is a value of a filter as it stands in a list's query.
func parameter(name string, value any) (text, problem string) {
	switch name {
	case "limit", "cursor", "expand":
		return "", "is a list's, and not an export's: a file has all records that are chosen"
	case "fields", "sort":
		return "", "stands beside filter, not in it"
	}
	if list, ok := value.([]any); ok {
		texts := make([]string, len(list))
		for i, v := range list {
			if texts[i], ok = scalar(v); !ok {
				return "", "must be text, a number, true or false, or a list of those"
			}
			texts[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(texts[i])
		}
		return strings.Join(texts, ","), ""
	}
	text, ok := scalar(value)
	if !ok {
		return "", "must be text, a number, true or false, or a list of those"
	}
	return text, ""
}

func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool, json.Number, int64, float64:
		return fmt.Sprint(v), true
	default:
		return "", false
	}
}
