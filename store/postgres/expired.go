package postgres

import (
	"context"
	"time"
)

// Expired removes what has expired, of all tenants. It needs the system's role. Each call is one transaction, and says
// how many it removed: up to limit of those that expired longer ago than keep.
type Expired struct{ db *DB }

// NewExpired returns what has expired in a database.
func NewExpired(system *DB) *Expired { return &Expired{db: system} }

// IdempotencyKeys removes kept answers.
func (e *Expired) IdempotencyKeys(ctx context.Context, keep time.Duration, limit int) (int64, error) {
	return e.remove(ctx, `with old as (
		  select tenant_id, digest from idempotency_keys
		   where expires_at < now() - $1::bigint * interval '1 microsecond' order by expires_at limit $2)
		delete from idempotency_keys k using old o where k.tenant_id = o.tenant_id and k.digest = o.digest
		   and k.expires_at < now() - $1::bigint * interval '1 microsecond'`, keep, limit)
}

// Sessions removes sessions with their refresh tokens.
func (e *Expired) Sessions(ctx context.Context, keep time.Duration, limit int) (int64, error) {
	return e.remove(ctx, `delete from sessions where id in (
		select id from sessions where expires_at < now() - $1::bigint * interval '1 microsecond'
		 order by expires_at limit $2 for update skip locked)`, keep, limit)
}

// RefreshTokens removes refresh tokens of sessions that go on.
func (e *Expired) RefreshTokens(ctx context.Context, keep time.Duration, limit int) (int64, error) {
	return e.remove(ctx, `delete from refresh_tokens where token_hash in (
		select token_hash from refresh_tokens where expires_at < now() - $1::bigint * interval '1 microsecond'
		 order by expires_at limit $2 for update skip locked)`, keep, limit)
}

// Reports removes reports by when they were made.
func (e *Expired) Reports(ctx context.Context, keep time.Duration, limit int) (int64, error) {
	return e.remove(ctx, `with old as (
		  select tenant_id, id from reports where created_at < now() - $1::bigint * interval '1 microsecond' order by created_at limit $2)
		delete from reports r using old o where r.tenant_id = o.tenant_id and r.id = o.id`, keep, limit)
}

func (e *Expired) remove(ctx context.Context, query string, keep time.Duration, limit int) (int64, error) {
	n, err := affect(e.db.with(ctx, operatorSession()), query, keep.Microseconds(), limit)
	return n, translate(err)
}
