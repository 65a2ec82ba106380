package postgres

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/idempotency"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Idempotency keeps the answers to named requests. It implements idempotency.Store.
type Idempotency struct{ router Router }

// NewIdempotency returns the store of kept answers over the tenants' databases.
func NewIdempotency(router Router) *Idempotency { return &Idempotency{router: router} }

// idempotencyKey is a row of idempotency_keys.
type idempotencyKey struct {
	TenantID      tenancy.ID `gorm:"type:uuid;primaryKey"`
	Digest        []byte     `gorm:"primaryKey"`
	RequestDigest []byte
	Status        int
	Header        map[string]string `gorm:"serializer:json"`
	Body          []byte
	IsSecret      bool
	CreatedAt     time.Time
	ExpiresAt     time.Time
}

// Once returns the kept answer, or runs act and keeps its answer, in one transaction.
func (s *Idempotency) Once(
	ctx context.Context, scope tenancy.Scope, request idempotency.Request, now time.Time,
	act func(ctx context.Context) (idempotency.Answer, error),
) (answer idempotency.Answer, replayed bool, err error) {
	db, err := s.router.For(ctx, scope.Tenant)
	if err != nil {
		return idempotency.Answer{}, false, err
	}
	run := func(fn func(ctx context.Context) error) error { return db.InTx(ctx, scope, fn) }
	if request.IsOpen { // what it does proves the actor's access by itself
		run = func(fn func(ctx context.Context) error) error { return db.controlTx(ctx, &scope.Tenant, fn) }
	}
	err = run(func(ctx context.Context) error {
		tx := db.Scoped(ctx, scope)
		held, err := TryLock(tx, LockKey("idempotency", append(scope.Tenant[:], request.Digest...)...))
		if err != nil {
			return err
		}
		if !held {
			return idempotency.ErrInFlight()
		}
		var kept idempotencyKey
		err = tx.Where(column("digest", request.Digest)).Take(&kept).Error
		switch {
		case err == nil && kept.ExpiresAt.After(now):
			replayed = true
			answer, err = kept.answer(request)
			return err
		case err == nil:
			if err := tx.Where(column("digest", request.Digest)).Delete(&idempotencyKey{}).Error; err != nil {
				return err
			}
		case !errors.Is(err, gorm.ErrRecordNotFound):
			return err
		}
		replayed = false
		if answer, err = act(ctx); err != nil {
			return err
		}
		return DeferCreate(tx, &idempotencyKey{
			TenantID: scope.Tenant, Digest: request.Digest, RequestDigest: request.Content, Status: answer.Status,
			Header: answer.Header, Body: append([]byte{}, answer.Body...), IsSecret: answer.IsSecret,
			CreatedAt: now, ExpiresAt: now.Add(idempotency.RetainFor),
		})
	})
	return answer, replayed, translate(err)
}

func (k idempotencyKey) answer(request idempotency.Request) (idempotency.Answer, error) {
	if subtle.ConstantTimeCompare(k.RequestDigest, request.Content) == 0 {
		return idempotency.Answer{}, idempotency.ErrReused()
	}
	if k.IsSecret {
		return idempotency.Answer{}, idempotency.ErrSecret(k.Header["Location"])
	}
	return idempotency.Answer{Status: k.Status, Header: k.Header, Body: k.Body}, nil
}
