package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/events"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Files keeps what is known of files. It implements files.Store. Its SQL is written out, since it counts in the
// transaction that changes; each statement names the tenant.
type Files struct{ router Router }

var _ files.Store = (*Files)(nil)

// NewFiles returns the store of files over the tenants' databases.
func NewFiles(router Router) *Files { return &Files{router: router} }

const fileColumns = "f.tenant_id, f.id, f.name, f.size, f.content_type, f.sha256, f.purpose, f.created_by, f.version, " +
	"f.created_at, f.updated_at, f.deleted_at, coalesce(f.permission, '')"

func readFile(row scanner) (f files.File, err error) {
	return f, row.Scan(&f.TenantID, &f.ID, &f.Name, &f.Size, &f.ContentType, &f.SHA256, &f.Purpose, &f.CreatedBy, &f.Version,
		&f.CreatedAt, &f.UpdatedAt, &f.DeletedAt, &f.Permission)
}

// CreateFile saves a file and counts it. Those of one tenant that come at the same time take turns at the counter, for
// the time of this transaction alone.
func (s *Files) CreateFile(ctx context.Context, scope tenancy.Scope, f files.File, quota int64) error {
	return s.inTx(ctx, scope, func(tx *gorm.DB) error {
		counted, err := affect(tx, `
			insert into file_usage (tenant_id, bytes, files) select $1, $2::bigint, 1 where $3::bigint = 0 or $2::bigint <= $3::bigint
			on conflict (tenant_id) do update set bytes = file_usage.bytes + $2::bigint, files = file_usage.files + 1
			where file_usage.tenant_id = $1 and ($3::bigint = 0 or file_usage.bytes + $2::bigint <= $3::bigint)`, scope.Tenant, f.Size, quota)
		if err != nil {
			return err
		}
		if counted == 0 {
			return files.ErrQuota(quota)
		}
		if err := Defer(tx, `insert into files
			(tenant_id, id, name, size, content_type, sha256, purpose, created_by, version, created_at, updated_at, permission)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, nullif($12, ''))`, scope.Tenant, f.ID, f.Name, f.Size, f.ContentType, f.SHA256,
			f.Purpose, f.CreatedBy, f.Version, f.CreatedAt, f.UpdatedAt, f.Permission); err != nil {
			return err
		}
		return tellFile(tx, scope, f, "created", audit.Change{Field: "name", To: f.Name},
			audit.Change{Field: "size", To: f.Size}, audit.Change{Field: "sha256", To: f.SHA256})
	})
}

// ListFiles returns files, newest first.
func (s *Files) ListFiles(ctx context.Context, scope tenancy.Scope, q files.Query) ([]files.File, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return nil, err
	}
	k, err := newestFirst(q.Request)
	if err != nil {
		return nil, err
	}
	query, args := "select "+fileColumns+" from files f where f.tenant_id = $1", []any{scope.Tenant, k.after}
	where := func(condition string, value any) {
		args = append(args, value)
		query += fmt.Sprintf(" and "+condition+"$%d", len(args))
	}
	if q.Purpose != "" {
		where("f.purpose = ", q.Purpose)
	}
	if q.ContentType != "" {
		where("f.content_type = ", q.ContentType)
	}
	if !q.From.IsZero() {
		where("f.created_at >= ", q.From)
	}
	if !q.To.IsZero() {
		where("f.created_at < ", q.To)
	}
	switch q.Trash {
	case files.LiveOnly:
		query += " and f.deleted_at is null"
	case files.TrashOnly:
		query += " and f.deleted_at is not null"
	case files.WithTrash:
	}
	list, err := all(db.Scoped(ctx, scope), readFile, query+k.sql("f.id", "$2"), args...)
	return list, translate(err)
}

// FindFile returns a live file.
func (s *Files) FindFile(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (files.File, error) {
	return s.find(ctx, scope, id, "")
}

// FindLinkedFile returns a live file of a tenant that is active.
func (s *Files) FindLinkedFile(ctx context.Context, tenant, id tenancy.ID) (files.File, error) {
	return s.find(ctx, tenancy.AsSystem(tenant, ""), id,
		" and exists (select from tenants t where t.id = f.tenant_id and t.state = 'active')")
}

func (s *Files) find(ctx context.Context, scope tenancy.Scope, id tenancy.ID, and string) (files.File, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return files.File{}, err
	}
	f, found, err := one(db.Scoped(ctx, scope), readFile,
		"select "+fileColumns+" from files f where f.tenant_id = $1 and f.id = $2 and f.deleted_at is null"+and, scope.Tenant, id)
	if err == nil && !found {
		err = files.ErrNotFound()
	}
	return f, translate(err)
}

// ChangeFile saves what decide makes of a file, whose row is held meanwhile.
func (s *Files) ChangeFile(ctx context.Context, scope tenancy.Scope, id tenancy.ID, act string,
	decide func(*files.File) error,
) (f files.File, err error) {
	err = s.inTx(ctx, scope, func(tx *gorm.DB) error {
		before, found, err := one(tx, readFile,
			"select "+fileColumns+" from files f where f.tenant_id = $1 and f.id = $2 for update", scope.Tenant, id)
		switch {
		case err != nil:
			return err
		case !found:
			return files.ErrNotFound()
		}
		f = before
		if err := decide(&f); err != nil {
			return err
		}
		if err := Defer(tx, "update files set version = $3, updated_at = $4, deleted_at = $5 where tenant_id = $1 and id = $2",
			scope.Tenant, id, f.Version, f.UpdatedAt, f.DeletedAt); err != nil {
			return err
		}
		return tellFile(tx, scope, f, act, audit.Change{Field: "deleted_at", From: before.DeletedAt, To: f.DeletedAt})
	})
	return f, err
}

// FindUsage is how much the tenant keeps.
func (s *Files) FindUsage(ctx context.Context, scope tenancy.Scope) (files.Usage, error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return files.Usage{}, err
	}
	usage, _, err := one(db.Scoped(ctx, scope), func(row scanner) (u files.Usage, err error) { return u, row.Scan(&u.Bytes, &u.Files) },
		"select bytes, files from file_usage where tenant_id = $1", scope.Tenant)
	return usage, translate(err)
}

func (s *Files) inTx(ctx context.Context, scope tenancy.Scope, fn func(tx *gorm.DB) error) error {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return err
	}
	return fileFault(db.InTx(ctx, scope, func(ctx context.Context) error { return fn(db.Scoped(ctx, scope)) }))
}

// fileFault is translate, where the one value that can be taken is an id of our own making: that is a bug.
func fileFault(err error) error {
	if _, ok := fault.As(err); !ok && sqlState(err) == "23505" {
		return err
	}
	return translate(err)
}

// tellFile writes the audit entry and the event of an act.
func tellFile(tx *gorm.DB, scope tenancy.Scope, f files.File, act string, changes ...audit.Change) error {
	if err := tellAct(tx, scope, f.UpdatedAt, "file."+act, "file", f.ID, f.Version, changes...); err != nil {
		return err
	}
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write the event of a file: %w", err)
	}
	return tellEvent(tx, scope, events.Event{
		ID: tenancy.NewID(), At: f.UpdatedAt, Type: "file." + act, Resource: "file", ResourceID: f.ID, Version: f.Version, Data: data,
	})
}
