// Package connectors owns how a tenant's records are kept in step with those of another program.
//
// A connector says where they are, how they are read and what becomes of them: a Kind reads pages of one sort of source, a
// mapping makes records of what it read, and the resource's own service keeps those that differ. A sync is a job. It goes
// on where it was interrupted, may be repeated at any time, and deletes only what its connector brought in. The package
// knows no HTTP library and no SQL; credentials leave it only for the source that they are for.
package connectors

import (
	"context"
	"strconv"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// MaxConnectors is how many a tenant may have.
const MaxConnectors = 100

// Connector is a source of records, and what is done with them.
type Connector struct {
	TenantID tenancy.ID `json:"-"`
	ID       tenancy.ID `json:"id"`
	Name     string     `json:"name" example:"CRM"`
	Kind     string     `json:"kind" example:"rest" doc:"What sort of source it is."`
	Resource string     `json:"resource" example:"customers" doc:"The resource whose records are kept in step, in the plural."`
	URL      string     `json:"url" example:"https://crm.example.com/api/contacts"`
	// AuthHeader is the header that the credential goes in; nil where there is none.
	AuthHeader *string `json:"auth_header" example:"Authorization" doc:"The header that the credential is sent in; its value is not shown. null where there is none."`
	// Settings are the kind's own, complete.
	Settings map[string]any `json:"settings" doc:"How the source is read; what there is, depends on the kind."`
	By       string         `json:"by" example:"code" doc:"The unique field that records are known by."`
	Mapping  map[string]any `json:"mapping" doc:"From which value of the source each field comes."`
	Schedule *Schedule      `json:"schedule" doc:"When it syncs by itself; null for only when it is asked to."`
	// RequestsPerMinute bounds how fast the source is asked.
	RequestsPerMinute int64 `json:"requests_per_minute"`
	DeleteMissing     bool  `json:"delete_missing" doc:"Whether records are deleted that it brought in and that the source does not have any more."`
	// FullEveryHours is how old the last complete reading may be before all is read again; 0 is any age.
	FullEveryHours int64     `json:"full_every_hours" doc:"How many hours after the last complete reading everything is read again; 0 for only when it is asked to."`
	Paused         bool      `json:"paused"`
	Version        int64     `json:"version"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	// NextSyncAt is when it syncs next by itself; nil for never.
	NextSyncAt *time.Time `json:"next_sync_at"`
	Health     Health     `json:"health"`

	// AuthSealed is the credential; nil where there is none. History says that who made the mapping may bring history in.
	AuthSealed []byte `json:"-"`
	History    bool   `json:"-"`
}

// Health is how its syncs went.
type Health struct {
	LastJobID     *tenancy.ID `json:"last_job_id" doc:"The job of the last sync; it tells more for as long as jobs are kept."`
	LastStartedAt *time.Time  `json:"last_started_at"`
	// LastSuccessAt is when a sync last came to its end.
	LastSuccessAt *time.Time `json:"last_success_at"`
	// LastError is why the last attempt failed; nil where it did not.
	LastError *string `json:"last_error"`
	// Failures counts the syncs that were given up since the last one that was not.
	Failures int64 `json:"consecutive_failures" doc:"How many syncs were given up since the last that came to its end; the more, the longer the next one waits."`
	// LastResult is what the last sync that came to its end answered.
	LastResult *Result `json:"last_result"`
}

// Schedule is when a connector syncs by itself: after a number of minutes, or at a time of day. One of the two is set.
type Schedule struct {
	EveryMinutes *int64  `json:"every_minutes" validate:"omitempty,min=5,max=10080" example:"60" doc:"So many minutes after the last time, 5 to 10080."`
	DailyAt      *string `json:"daily_at" validate:"omitempty,len=5" example:"02:30" doc:"A time of each day, in the time zone of the organization."`
}

// Store keeps connectors. Every call sees the scope's tenant only; another's record is NotFound.
type Store interface {
	// CreateConnector saves a connector; Conflict "connector.too_many" where the tenant has MaxConnectors.
	CreateConnector(ctx context.Context, scope tenancy.Scope, c Connector) error
	// ListConnectors returns up to one more than the limit, newest first.
	ListConnectors(ctx context.Context, scope tenancy.Scope, request page.Request) ([]Connector, error)
	// FindConnector returns one; NotFound "connector.not_found".
	FindConnector(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Connector, error)
	// ChangeConnector loads a connector and holds it, lets change alter it, and saves it under its next version with what
	// the audit says. What did not change is not written.
	ChangeConnector(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, change func(*Connector) error) (Connector, error)
	// DeleteConnector removes a connector and all that it knows, where check has nothing against it. The records stay.
	DeleteConnector(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, check func(Connector) error) error
}

// Sealer seals credentials, bound to where they stand.
type Sealer interface {
	Seal(plaintext, binding []byte) ([]byte, error)
	Open(sealed, binding []byte) ([]byte, error)
}

// Kind is a sort of source that connectors can read.
type Kind interface {
	// Name is what connectors call it: "rest".
	Name() string
	// Complete checks the kind's settings and returns them with what was left out filled in. Pointers begin at /settings.
	Complete(settings map[string]any) (map[string]any, []fault.Violation)
	// Check gives the verdict on a URL and returns the form in which it is called; an Invalid fault at /url.
	Check(ctx context.Context, url string) (string, error)
	// Pull reads one page. What goes wrong at the source is a *SourceError.
	Pull(ctx context.Context, ask Ask) (Page, error)
}

// Ask says what is to be read.
type Ask struct {
	URL string
	// AuthHeader and AuthValue are the credential; "" for none.
	AuthHeader, AuthValue string
	Settings              map[string]any
	// Position is where the page is, as the page before said; "" is the first.
	Position string
	// Since asks for what has changed since, where the settings say how to ask for it; zero asks for everything.
	Since time.Time
	// Validators are those of everything, as it was read last; zero asks for it in any case.
	Validators Validators
}

// Validators tell whether everything has changed since it was read last (RFC 9110 §8.8).
type Validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
}

// Page is what was read.
type Page struct {
	// Records are JSON values, numbers in them json.Number.
	Records []any
	// Next is the position of the page behind it; "" where there is none.
	Next string
	// IsUnchanged says that nothing has changed since the validators.
	IsUnchanged bool
	// IsPartial says that only what has changed was asked for.
	IsPartial  bool
	Validators Validators
	// At is the source's clock; zero where it does not say.
	At time.Time
	// Digest tells pages apart by what they hold.
	Digest string
}

// SourceError is what went wrong at a source, in words for its connector's owner, without credentials.
type SourceError struct {
	Reason string
	// IsPermanent says that it does not go away by itself.
	IsPermanent bool
	// RetryAfter is how long the source wants to be left alone; 0 where it does not say.
	RetryAfter time.Duration
}

// Error is the reason.
func (e *SourceError) Error() string { return e.Reason }

// ErrNotFound is the answer for a connector that is not there.
func ErrNotFound() error {
	return fault.New(fault.NotFound, "connector.not_found", "There is no such connector.")
}

// ErrTooMany is the answer to one connector more than MaxConnectors.
func ErrTooMany() error {
	return fault.New(fault.Conflict, "connector.too_many",
		"There are "+strconv.Itoa(MaxConnectors)+" connectors, which is the most; delete one that is not needed.")
}

func errPaused() error {
	return fault.New(fault.Conflict, "connector.paused", "The connector is paused; set paused to false, then sync.")
}

func errSyncing() error {
	return fault.New(fault.Conflict, "connector.syncing",
		"A sync is under way that was asked for without this; ask again when it has ended, or cancel its job first.")
}

// authBinding is what a connector's credential is sealed for.
func authBinding(c Connector) []byte {
	return []byte("connector/auth/" + c.TenantID.String() + "/" + c.ID.String())
}

// definitionOf is the definition of a resource by its plural; nil for none.
func definitionOf(all []*resource.Definition, plural string) *resource.Definition {
	for _, d := range all {
		if d.Plural == plural {
			return d
		}
	}
	return nil
}
