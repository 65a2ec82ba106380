package files

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Store keeps what is known of files, and counts what each tenant keeps in the transaction that changes it.
type Store interface {
	// CreateFile saves a file with its event, and counts it. Where the tenant would keep more than quota bytes (0 is any
	// number) it is Conflict "file.quota_exceeded" and nothing is saved.
	CreateFile(ctx context.Context, scope tenancy.Scope, file File, quota int64) error
	// ListFiles returns up to one file more than the limit, newest first.
	ListFiles(ctx context.Context, scope tenancy.Scope, query Query) ([]File, error)
	// FindFile returns a live file; NotFound "file.not_found".
	FindFile(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (File, error)
	// FindLinkedFile is FindFile for the bearer of a link: nor is a suspended tenant's file found.
	FindLinkedFile(ctx context.Context, tenant, id tenancy.ID) (File, error)
	// ChangeFile saves what decide makes of a file, live or in the trash, with an event of the act ("deleted").
	ChangeFile(ctx context.Context, scope tenancy.Scope, id tenancy.ID, act string, decide func(*File) error) (File, error)
	// FindUsage is how much the tenant keeps.
	FindUsage(ctx context.Context, scope tenancy.Scope) (Usage, error)
	// PurgeFiles removes those of the files that went to the trash before a time, and returns them: their contents are to
	// be deleted once it has returned.
	PurgeFiles(ctx context.Context, scope tenancy.Scope, ids []tenancy.ID, now, before time.Time) ([]tenancy.ID, error)
}

// SystemStore is what upkeep asks of files across tenants.
type SystemStore interface {
	Store
	// ListDueFiles returns up to limit files of any tenant that went to the trash before a time, oldest first.
	ListDueFiles(ctx context.Context, before time.Time, limit int) ([]Ref, error)
	// ListKnownFiles returns those of the ids that the tenant has a file of, live or in the trash.
	ListKnownFiles(ctx context.Context, tenant tenancy.ID, ids []tenancy.ID) ([]tenancy.ID, error)
}

// Ref names a file of any tenant.
type Ref struct {
	Tenant, ID tenancy.ID
}

// Contents keeps bytes by key. Its methods may be called by many goroutines.
type Contents interface {
	// Put keeps what r has, whole or not at all: after an error, r's own among them, nothing is there under the key.
	// Once it returns nil the bytes outlive a crash.
	Put(ctx context.Context, key string, r io.Reader) error
	// Open reads length bytes from offset on; to the end where length is negative. Where there is nothing under the key
	// the error is ErrNoContents. The caller closes what it is given.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Delete removes what is there; where nothing is, that is no error.
	Delete(ctx context.Context, key string) error
	// List calls visit for everything that is kept, in the order of the keys or nearly so, and for what an interrupted
	// Put left behind, which has no key. It ends with visit's first error.
	List(ctx context.Context, visit func(Content) error) error
}

// ErrNoContents says that nothing is kept under a key.
var ErrNoContents = errors.New("files: there are no such contents")

// Content is one thing that is kept.
type Content struct {
	// Key is "" for the remains of a Put that was interrupted.
	Key        string
	Size       int64
	ModifiedAt time.Time
	// Remove removes it.
	Remove func(ctx context.Context) error
}
