package postgres

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Router says in which database a tenant lives. Each database has the same tables, jobs and events among them, so
// that a tenant's changes and what follows from them share a transaction wherever it lives.
type Router interface {
	// For is the tenant's database. It is asked for each call and must answer from memory.
	For(ctx context.Context, tenant tenancy.ID) (*DB, error)
}

// Shared is the placement in which every tenant lives in one database.
type Shared struct {
	DB *DB
}

// For is the one database.
func (s Shared) For(context.Context, tenancy.ID) (*DB, error) { return s.DB, nil }
