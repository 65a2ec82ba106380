// Package files owns what tenants keep as files: what is known of each, its name, its limits, its trash, and how much a
// tenant keeps.
//
// Contents are streamed into a Contents first and become a file when the row that names them is committed: a crash in
// between leaves no file, and contents that no file has are swept a day later. Transports hand in a reader, jobs write
// into one. The package never holds a whole file in memory, and knows neither HTTP nor where contents are kept.
package files

import (
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// What files are for. Programs may add words of their own.
const (
	// ForUpload is what somebody sent.
	ForUpload = "upload"
	// ForExport is what an export made.
	ForExport = "export"
	// ForErrors is the list of what an import refused.
	ForErrors = "errors"
	// ForReport is a report.
	ForReport = "report"
)

// File is what is known of a file. What it holds never changes; another content is another file.
type File struct {
	TenantID tenancy.ID `json:"-"`
	ID       tenancy.ID `json:"id"`
	// Name is what people call it: at most 255 bytes, without folders.
	Name string `json:"name" doc:"What the file is called, without folders." example:"customers.csv"`
	// Size is in bytes.
	Size int64 `json:"size" doc:"How many bytes it holds." example:"48213"`
	// ContentType is what the first bytes say, not what the sender said.
	ContentType string `json:"content_type" doc:"What it holds, told from its first bytes." example:"text/csv"`
	// SHA256 is the digest of the contents in lower-case hexadecimal digits.
	SHA256 string `json:"sha256" doc:"The SHA-256 digest of its contents, in hexadecimal digits."`
	// Purpose is a word that says what it is for: "upload", "export".
	Purpose string `json:"purpose" doc:"What it is for: upload, export, errors, report." example:"upload"`
	// CreatedBy is the user or key who made it; nil where the system did.
	CreatedBy *tenancy.ID `json:"created_by" doc:"The user or API key that made it; null where the system did."`
	Version   int64       `json:"version"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
	// Permission is what one needs beside files:read to read what it holds; "" for nothing more.
	Permission string `json:"-"`
	// DeletedAt is when it went to the trash; nil for a live file.
	DeletedAt *time.Time `json:"deleted_at" doc:"When it went to the trash, from where it can be restored for a while."`
}

// Key is where the contents are kept. It is made of ids alone, never of anything that was sent.
func (f *File) Key() string { return Key(f.TenantID, f.ID) }

// Key is where the contents of a tenant's file are kept: tenant/aa/id, where aa spreads them over 256 folders.
func Key(tenant, id tenancy.ID) string {
	text := id.String()
	return tenant.String() + "/" + text[len(text)-2:] + "/" + text
}

// ParseKey reads a key; ok is false for what Key did not make.
func ParseKey(key string) (tenant, id tenancy.ID, ok bool) {
	const length = 36 + 1 + 2 + 1 + 36
	if len(key) != length {
		return tenancy.ID{}, tenancy.ID{}, false
	}
	tenant, tenantErr := tenancy.ParseID(key[:36])
	id, idErr := tenancy.ParseID(key[length-36:])
	ok = tenantErr == nil && idErr == nil && Key(tenant, id) == key
	return tenant, id, ok
}

// Delete puts the file into the trash.
func (f *File) Delete(now time.Time) error {
	if f.DeletedAt != nil {
		return ErrNotFound()
	}
	f.DeletedAt = &now
	f.change(now)
	return nil
}

// Restore takes the file out of the trash.
func (f *File) Restore(now time.Time) error {
	if f.DeletedAt == nil {
		return fault.New(fault.Conflict, "file.not_deleted", "The file is not in the trash.")
	}
	f.DeletedAt = nil
	f.change(now)
	return nil
}

func (f *File) change(now time.Time) {
	f.UpdatedAt = now
	f.Version++
}

// Trash says which files a list shows.
type Trash string

// What a list shows.
const (
	LiveOnly  Trash = ""
	WithTrash Trash = "with"
	TrashOnly Trash = "only"
)

// Query selects files, newest first; zero values select all live ones.
type Query struct {
	page.Request
	Purpose     string
	ContentType string
	// From and To bound the time of creation: from then on, and before then.
	From, To time.Time
	Trash    Trash
}

// Usage is how much a tenant keeps. Files in the trash count: they take room until they are purged.
type Usage struct {
	Bytes int64
	Files int64
}

// ErrNotFound is the answer for a file that is not there, or is in the trash.
func ErrNotFound() error {
	return fault.New(fault.NotFound, "file.not_found", "There is no such file.")
}

// ErrQuota is the answer where a file does not fit into what the tenant may keep.
func ErrQuota(quota int64) error {
	return fault.New(fault.Conflict, "file.quota_exceeded", fmt.Sprintf(
		"The organization may keep %d bytes of files, those in the trash among them, and this one does not fit; "+
			"remove some for good, or ask for more room.", quota))
}

// errStorage is the answer where contents cannot be kept or read just now. The cause goes to the log.
func errStorage(cause error) error {
	f := fault.New(fault.Unavailable, "file.storage_unavailable", "The files' contents cannot be reached just now; try again shortly.")
	f.RetryAfter = storageRetry
	return f.Because(cause)
}

// storageRetry is when to come back to a storage that is away or full.
const storageRetry = 5 * time.Second
