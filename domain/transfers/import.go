package transfers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// ImportRequest is an import as somebody asks for it.
type ImportRequest struct {
	// Resource is the plural: "customers".
	Resource string     `json:"resource"`
	FileID   tenancy.ID `json:"file_id"`
	// Sheet is the one of a workbook; "" is the first.
	Sheet string `json:"sheet,omitempty"`
	// Mode is "create" or "upsert"; By is the unique field that an upsert goes by.
	Mode resource.BulkMode `json:"mode"`
	By   string            `json:"by,omitempty"`
	// DryRun does all of it and keeps none; Atomic keeps all or none.
	DryRun bool   `json:"dry_run,omitempty"`
	Atomic bool   `json:"atomic,omitempty"`
	Format Format `json:"format"`
	// Mapping says which columns make which fields, as docs/transfers.md describes; nil goes by the columns' names.
	Mapping map[string]any `json:"mapping,omitempty"`
}

// ImportArgs are the arguments of the job of an import.
type ImportArgs struct {
	// Import is what the import is known by: jobs that go on with it have the same.
	Import  tenancy.ID    `json:"import_id"`
	Request ImportRequest `json:"request"`
	// Actor is who asked, in whose name records change. That they may is judged when they ask, and with each batch again.
	Actor ImportActor `json:"actor"`
	// History says that they may bring history in.
	History bool `json:"history,omitempty"`
}

// ImportActor is who asked for an import.
type ImportActor struct {
	Kind tenancy.ActorKind `json:"kind"`
	ID   tenancy.ID        `json:"id"`
}

func (a ImportArgs) asker() access.Asker { return access.Asker{Kind: a.Actor.Kind, ID: a.Actor.ID} }

// permissions are what whoever asked must hold for as long as the import runs.
func (a ImportArgs) permissions(d *resource.Definition) []string {
	needed := []string{d.Plural + ":write"}
	if a.History {
		needed = append(needed, d.BackfillPermission())
	}
	return needed
}

// importKind is the name of the kind of job.
const importKind = "transfers.import"

// JobKind declares the job. An import goes on where it was interrupted, so that it may be tried often.
func (ImportArgs) JobKind() jobs.Kind {
	return jobs.Kind{
		Name: importKind, Queue: jobs.Transfers, MaxAttempts: 10, Timeout: 12 * time.Hour, MaxRunning: 2,
		Unique: jobs.UniqueWhileLive,
	}
}

// JobKey keeps two jobs from working at one import.
func (a ImportArgs) JobKey() string { return a.Import.String() }

// ImportNeeds are what imports stand on.
type ImportNeeds struct {
	Resources []*resource.Service
	Files     *files.Service
	Store     ImportStore
	// Rights says whether who asked may still write the records. It is for running; who only asks leaves it out.
	Rights *access.Rights
	// Queue and Jobs are for asking; who only runs imports leaves them out.
	Queue jobs.Queue
	Jobs  ImportJobs
}

// ImportJobs finds the jobs of imports that are to go on.
type ImportJobs interface {
	// FindJob returns one job; NotFound "job.not_found".
	FindJob(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (jobs.Job, error)
}

// ImportStore keeps how far imports have come.
type ImportStore interface {
	// BeginImport notes a new import and runs enqueue, in one transaction.
	BeginImport(ctx context.Context, scope tenancy.Scope, id tenancy.ID, enqueue func(ctx context.Context) error) error
	// FindImport returns how far an import has come; NotFound "import.expired" where that is not known any more.
	FindImport(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (ImportState, error)
	// AdvanceImport runs step in a transaction that also keeps what step returns: the new state and the rows that were
	// refused. Where the import is not in the state from any more, it is errors.Is ErrImportMoved and nothing is done. The
	// step may be run again where the transaction lost against another one.
	AdvanceImport(ctx context.Context, scope tenancy.Scope, id tenancy.ID, from ImportState,
		step func(ctx context.Context) (ImportState, []FailedRow, error)) error
	// ListFailedRows calls visit for the rows that were refused, in their order.
	ListFailedRows(ctx context.Context, scope tenancy.Scope, id tenancy.ID, visit func(FailedRow) error) error
}

// Imports takes orders for imports, and runs them.
type Imports struct{ needs ImportNeeds }

// NewImports returns the service.
func NewImports(needs ImportNeeds) *Imports { return &Imports{needs: needs} }

// Start checks what was asked and enqueues the job that does it.
func (s *Imports) Start(ctx context.Context, scope tenancy.Scope, request ImportRequest) (tenancy.ID, error) {
	args, err := s.prepare(ctx, scope, request)
	if err != nil {
		return tenancy.ID{}, err
	}
	args.Import = tenancy.NewID()
	var job tenancy.ID
	err = s.needs.Store.BeginImport(ctx, scope, args.Import, func(ctx context.Context) error {
		done, err := jobs.Enqueue(ctx, s.needs.Queue, scope, args)
		job = done.ID
		return err
	})
	return job, err
}

// Resume goes on with an import whose job was cancelled or has failed for good, behind the last row that was kept. It is
// in the name of who resumes, who must be allowed all of it.
func (s *Imports) Resume(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (tenancy.ID, error) {
	job, err := s.needs.Jobs.FindJob(ctx, scope, id)
	if err != nil {
		return tenancy.ID{}, err
	}
	if job.Kind != importKind {
		return tenancy.ID{}, jobs.ErrNotFound()
	}
	if job.State != jobs.Cancelled && job.State != jobs.Dead {
		return tenancy.ID{}, fault.New(fault.Conflict, "import.not_resumable",
			"Only an import whose job was cancelled or is dead can be resumed; this one is "+string(job.State.Public())+".")
	}
	var before ImportArgs
	if err := json.Unmarshal(job.Args, &before); err != nil {
		return tenancy.ID{}, fmt.Errorf("read the arguments of an import: %w", err)
	}
	if _, err := s.needs.Store.FindImport(ctx, scope, before.Import); err != nil {
		return tenancy.ID{}, err
	}
	args, err := s.prepare(ctx, scope, before.Request)
	if err != nil {
		return tenancy.ID{}, err
	}
	args.Import = before.Import
	done, err := jobs.Enqueue(ctx, s.needs.Queue, scope, args)
	return done.ID, err
}

// prepare judges a request, as whoever asks may do it.
func (s *Imports) prepare(ctx context.Context, scope tenancy.Scope, in ImportRequest) (ImportArgs, error) {
	args := ImportArgs{Request: in, Actor: ImportActor{Kind: scope.Actor.Kind, ID: scope.Actor.ID}}
	service := s.service(in.Resource)
	if service == nil {
		return args, fault.Values(fault.Violation{Pointer: "/resource", Code: "oneof", Detail: "must be one of: " + strings.Join(s.names(), ", ")})
	}
	d := service.Definition
	if permission := d.Plural + ":write"; !scope.Actor.May(permission) {
		return args, fault.New(fault.Forbidden, "permission_denied",
			"This needs the permission "+permission+", which you do not have here; ask an administrator of the organization.")
	}
	args.History = slices.Contains(d.Permissions(), d.BackfillPermission()) && scope.Actor.May(d.BackfillPermission())
	_, found := in.Format.check()
	found = append(found, checkMode(d, in)...)
	m, wrong := readMapping(d, in.Mapping, args.History)
	found = append(found, wrong...)
	named := []namedFile{{"/file_id", in.FileID}}
	for i := range m.details {
		if at := &m.details[i]; !at.file.IsZero() {
			named = append(named, namedFile{"/mapping/" + at.field.Name + "/file_id", at.file})
		}
	}
	for _, f := range named {
		v, err := s.checkFile(ctx, scope, f)
		if err != nil {
			return args, err
		}
		found = append(found, v...)
	}
	data, err := json.Marshal(args)
	if err != nil {
		return args, fmt.Errorf("write the arguments of an import: %w", err)
	}
	if len(data) > jobs.MaxArgs/2 {
		found = append(found, fault.Violation{Pointer: "/mapping", Code: "max", Detail: fmt.Sprintf("is too large; the request may take %d bytes", jobs.MaxArgs/2)})
	}
	if len(found) > 0 {
		return args, fault.Values(found...)
	}
	return args, nil
}

func checkMode(d *resource.Definition, in ImportRequest) (found []fault.Violation) {
	bad := func(name, code, detail string) {
		found = append(found, fault.Violation{Pointer: "/" + name, Code: code, Detail: detail})
	}
	if in.Mode != resource.BulkCreate && in.Mode != resource.BulkUpsert {
		bad("mode", "oneof", "must be one of: create, upsert")
		return found
	}
	if (in.By != "") != (in.Mode == resource.BulkUpsert) {
		bad("by", "required", "names the unique field that an upsert goes by, and goes with that mode alone")
	} else if f := d.Field(in.By); in.By != "" && (f == nil || !f.Unique) {
		bad("by", "oneof", "is no unique field of a "+d.Name)
	}
	return found
}

// namedFile is a file that a request names, and where it does.
type namedFile struct {
	pointer string
	id      tenancy.ID
}

// checkFile says what is wrong with a file that is to be read.
func (s *Imports) checkFile(ctx context.Context, scope tenancy.Scope, f namedFile) ([]fault.Violation, error) {
	file, err := s.needs.Files.FindToRead(ctx, scope, f.id)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return []fault.Violation{{Pointer: f.pointer, Code: "not_found", Detail: "there is no file with this id; upload one to /files"}}, nil
	case err != nil:
		return nil, err
	case mayBeTable(file.ContentType):
		return nil, nil
	}
	return []fault.Violation{{
		Pointer: f.pointer, Code: "content_type", Detail: "is of the type " + shortened(file.ContentType) + "; send CSV or XLSX",
	}}, nil
}

// mayBeTable says whether a file is worth opening. What it is, its first bytes say then.
func mayBeTable(contentType string) bool {
	switch contentType {
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/zip", "application/octet-stream", "application/csv",
		"application/vnd.ms-excel", "application/x-ole-storage":
		return true
	default:
		return strings.HasPrefix(contentType, "text/")
	}
}

func (s *Imports) service(plural string) *resource.Service {
	for _, service := range s.needs.Resources {
		if service.Definition.Plural == plural {
			return service
		}
	}
	return nil
}

func (s *Imports) names() []string {
	names := make([]string, len(s.needs.Resources))
	for i, service := range s.needs.Resources {
		names[i] = service.Definition.Plural
	}
	return names
}
