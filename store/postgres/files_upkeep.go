package postgres

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// SystemFiles is Files with what upkeep asks across the tenants of a database. It needs the system's role.
type SystemFiles struct {
	*Files

	db *DB
}

var _ files.SystemStore = (*SystemFiles)(nil)

// NewSystemFiles returns the store of files as the system sees them.
func NewSystemFiles(db *DB) *SystemFiles {
	return &SystemFiles{Files: NewFiles(Shared{DB: db}), db: db}
}

// ListDueFiles returns files of any tenant that went to the trash before a time, the oldest first.
func (s *SystemFiles) ListDueFiles(ctx context.Context, before time.Time, limit int) ([]files.Ref, error) {
	refs, err := all(s.db.control(ctx), func(row scanner) (r files.Ref, err error) { return r, row.Scan(&r.Tenant, &r.ID) },
		"select d.tenant_id, d.id from due_files($1, $2) d", before, limit)
	return refs, translate(err)
}

// ListKnownFiles returns those of the ids that the tenant has a file of.
func (s *SystemFiles) ListKnownFiles(ctx context.Context, tenant tenancy.ID, ids []tenancy.ID) ([]tenancy.ID, error) {
	known, err := all(s.db.Scoped(ctx, tenancy.AsSystem(tenant, "")), readID,
		"select id from files where tenant_id = $1 and id = any($2::text[]::uuid[])", tenant, idArray(ids))
	return known, translate(err)
}

// PurgeFiles removes files from the trash for good, and counts them off.
func (s *Files) PurgeFiles(ctx context.Context, scope tenancy.Scope, ids []tenancy.ID, now, before time.Time) (purged []tenancy.ID, err error) {
	err = s.inTx(ctx, scope, func(tx *gorm.DB) error {
		purged = nil
		var bytes int64
		_, err := all(tx, func(row scanner) (struct{}, error) {
			var id tenancy.ID
			var size int64
			err := row.Scan(&id, &size)
			purged, bytes = append(purged, id), bytes+size
			return struct{}{}, err
		}, "delete from files where tenant_id = $1 and id = any($2::text[]::uuid[]) and deleted_at < $3 returning id, size",
			scope.Tenant, idArray(ids), before)
		if err != nil || len(purged) == 0 {
			return err
		}
		if err := Defer(tx, "update file_usage set bytes = bytes - $2::bigint, files = files - $3::bigint where tenant_id = $1",
			scope.Tenant, bytes, len(purged)); err != nil {
			return err
		}
		for _, id := range purged {
			if err := tellAct(tx, scope, now, "file.purged", "file", id, 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("purge files: %w", err)
	}
	return purged, nil
}

// idArray is a list of ids as an argument.
func idArray(ids []tenancy.ID) textList {
	texts := make(textList, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return texts
}
