package postgres

import (
	"context"
	"fmt"

	"github.com/groundwork-saas/groundwork/migrations"
)

// SchemaVersion is the newest migration that the database has.
func (db *DB) SchemaVersion(ctx context.Context) (int64, error) {
	version, err := migrations.Applied(ctx, db.sql)
	if err != nil {
		return 0, fmt.Errorf("postgres: %w", err)
	}
	return version, nil
}

// EnsurePartitions makes the partitions of the audit and the events for the months to come. It needs the system's role.
func (db *DB) EnsurePartitions(ctx context.Context) error {
	if _, err := db.sql.ExecContext(ctx, "select ensure_partitions()"); err != nil {
		return fmt.Errorf("ensure partitions: %w", err)
	}
	return nil
}
