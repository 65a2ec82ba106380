package connectors

import (
	"context"
	"errors"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// SyncArgs are the arguments of the job that syncs a connector.
type SyncArgs struct {
	ConnectorID    tenancy.ID `json:"connector_id"`
	Full           bool       `json:"full,omitempty"`
	AllowDeletions bool       `json:"allow_deletions,omitempty"`
}

// JobKind declares the job. It goes on where it was interrupted.
func (SyncArgs) JobKind() jobs.Kind {
	return jobs.Kind{
		Name: "connectors.sync", Queue: jobs.Transfers, MaxAttempts: 8, Timeout: 2 * time.Hour, MaxRunning: 2, Unique: jobs.UniqueWhileLive,
	}
}

// JobKey keeps two jobs from syncing one connector.
func (a SyncArgs) JobKey() string { return a.ConnectorID.String() }

// wantsMore says that a pass of the same job began before somebody asked for what it does not do: to read everything, or to
// delete what it has withheld.
func (a SyncArgs) wantsMore(s SyncState) bool {
	return a.Full && !s.Since.IsZero() || a.AllowDeletions && s.Withheld > 0
}

// SyncState is how far the last pass over a source has come, and what is known of the source from the passes before.
type SyncState struct {
	// Step counts the transactions so far.
	Step int64 `json:"-"`
	// Pass counts the passes; Job is the one that makes the last, by the connector's settings of Version.
	Pass    int64      `json:"pass"`
	Job     tenancy.ID `json:"job"`
	Version int64      `json:"version"`

	Stage Stage `json:"stage"`
	// Since is the time that was asked from; zero for everything.
	Since time.Time `json:"since,omitzero"`
	// Position is the page at hand, Digest what it holds, and Done how many of its records are done with.
	Position string `json:"position,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Done     int    `json:"done,omitempty"`
	// Before is the digest of the page before it; Pages counts those that are done with.
	Before string `json:"before,omitempty"`
	Pages  int64  `json:"pages"`
	// Mark is a position that was met before.
	Mark string `json:"mark,omitempty"`
	// StartedAt is when the pass began; SourceAt the same by the source's clock, zero where it has none.
	StartedAt time.Time `json:"started_at"`
	SourceAt  time.Time `json:"source_at,omitzero"`
	// Validators are those of the first page.
	Validators Validators `json:"validators,omitzero"`
	// IsPartial says that not everything was asked for, IsUnchanged that nothing has changed, IsUnkeyed that there was a
	// record that nothing is known by.
	IsPartial   bool `json:"is_partial,omitempty"`
	IsUnchanged bool `json:"is_unchanged,omitempty"`
	IsUnkeyed   bool `json:"is_unkeyed,omitempty"`
	// After is the last key whose record was looked at for deletion.
	After string `json:"after,omitempty"`

	Counts

	Failures []transfers.ImportFailure `json:"failures,omitempty"`
	Known    Known                     `json:"known"`
	Health   Health                    `json:"health"`
}

// Stage is what a pass does.
type Stage string

// The stages of a pass, in their order.
const (
	Reading  Stage = "reading"
	Deleting Stage = "deleting"
	Finished Stage = "finished"
)

// Known is what is known of a source from the last pass that came to its end.
type Known struct {
	// Version is that of the settings it was read by.
	Version int64 `json:"version"`
	// Until is the time, by the source's clock where it has one, up to which its changes were read.
	Until time.Time `json:"until,omitzero"`
	// FullAt is when everything was read last.
	FullAt time.Time `json:"full_at,omitzero"`
	// Validators are those of everything, where one page was everything and all of it could be kept.
	Validators Validators `json:"validators,omitzero"`
}

// Counts are what came of records.
type Counts struct {
	Rows    int64 `json:"rows"`
	Created int64 `json:"created"`
	Updated int64 `json:"updated"`
	// Unchanged records were so already.
	Unchanged int64 `json:"unchanged"`
	Deleted   int64 `json:"deleted"`
	Failed    int64 `json:"failed"`
	// Withheld records are missing at the source and were not deleted, since they are too many.
	Withheld int64 `json:"withheld"`
}

// Result is what a sync answers.
type Result struct {
	Counts

	Pages int64 `json:"pages" doc:"How many pages were read."`
	// IsFull says that everything was read, IsUnchanged that the source said that nothing has changed.
	IsFull      bool `json:"full" doc:"Whether everything was read, and not only what has changed."`
	IsUnchanged bool `json:"not_modified" doc:"Whether the source said that nothing has changed."`
	// Errors are the first of what is wrong with records; row counts them in the order of the source.
	Errors []transfers.ImportFailure `json:"errors"`
}

// result is the pass's.
func (s SyncState) result() Result {
	r := Result{Counts: s.Counts, Pages: s.Pages, IsFull: !s.IsPartial && !s.IsUnchanged, IsUnchanged: s.IsUnchanged, Errors: s.Failures}
	if r.Errors == nil {
		r.Errors = []transfers.ImportFailure{}
	}
	return r
}

// Link ties a record to the source that it came from.
type Link struct {
	// Key is what the record is known by.
	Key string
	// Record is zero where none came of it.
	Record tenancy.ID
}

// SyncStore keeps how far syncs have come, and which records came from where.
type SyncStore interface {
	// FindSync returns a connector, with its credential sealed, and how far its sync has come; NotFound
	// "connector.not_found".
	FindSync(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Connector, SyncState, error)
	// AdvanceSync runs step in a transaction that also keeps the state that step returns. Where the sync is not in the state
	// from any more, or the connector has another version or is gone, it is errors.Is ErrSyncMoved and nothing is done. The
	// step may be run again where the transaction lost against another one.
	AdvanceSync(ctx context.Context, scope tenancy.Scope, c Connector, from SyncState,
		step func(ctx context.Context) (SyncState, error)) error
	// NoteFailure keeps why an attempt failed; isGivenUp counts it.
	NoteFailure(ctx context.Context, scope tenancy.Scope, id tenancy.ID, failure Failure) error
	// SeeLinks notes that a pass has met keys, each once, and which records they became. It is called within AdvanceSync.
	SeeLinks(ctx context.Context, scope tenancy.Scope, id tenancy.ID, pass int64, links []Link) error
	// CountLinks says how many keys became records, and how many of them a pass has not met.
	CountLinks(ctx context.Context, scope tenancy.Scope, id tenancy.ID, pass int64) (all, unseen int64, err error)
	// ListUnseen returns up to limit keys that a pass has not met, in their order behind after.
	ListUnseen(ctx context.Context, scope tenancy.Scope, id tenancy.ID, pass int64, after string, limit int) ([]Link, error)
	// DropLinks forgets keys. It is called within AdvanceSync.
	DropLinks(ctx context.Context, scope tenancy.Scope, id tenancy.ID, keys []string) error
}

// Failure is an attempt that failed.
type Failure struct {
	Job    tenancy.ID
	At     time.Time
	Reason string
	// IsGivenUp says that there is no other attempt.
	IsGivenUp bool
}

// ErrSyncMoved says that another attempt has gone on with the sync, or that the connector was changed.
var ErrSyncMoved = errors.New("the connector was changed, or another attempt has gone on; the sync begins again")
