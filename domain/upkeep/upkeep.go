// Package upkeep owns what keeps the database from growing for ever: records that have lain in the trash for long
// enough, and what has expired.
//
// The scheduler's table says when; a worker does it, in batches that are each a transaction of their own, so that it may
// be interrupted anywhere. It removes nothing that anybody could still ask for.
package upkeep

import (
	"context"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// PurgeTrash is the job that removes, for good, a tenant's records that were deleted long enough ago.
type PurgeTrash struct{}

// JobKind declares the kind.
func (PurgeTrash) JobKind() jobs.Kind {
	return jobs.Kind{Name: "upkeep.purge_trash", MaxAttempts: 5, Timeout: 30 * time.Minute, Unique: jobs.UniqueWhileLive, MaxRunning: 1}
}

// Expire is the job that removes what has expired, for the whole installation.
type Expire struct{}

// JobKind declares the kind.
func (Expire) JobKind() jobs.Kind {
	return jobs.Kind{Name: "upkeep.expire", MaxAttempts: 5, Timeout: 30 * time.Minute, Unique: jobs.UniqueWhileLive, MaxRunning: 1}
}

// Removed is the result of both jobs: how many of what were removed. What removed nothing is left out.
type Removed map[string]int

// purgeBatch is how many records one transaction removes: each writes an audit entry, too.
const purgeBatch = 200

// Trash removes what was deleted.
type Trash struct {
	// Resources are the services of all resources.
	Resources []*resource.Service
	// Retention is how long what was deleted can be restored.
	Retention time.Duration
	Now       func() time.Time
}

// Purge removes a tenant's records whose time in the trash is over. report is told how many of them are gone so far.
func (t Trash) Purge(ctx context.Context, scope tenancy.Scope, report func(done int64)) (Removed, error) {
	removed, total := Removed{}, 0
	before := t.Now().Add(-t.Retention)
	// What refers to others goes before what it refers to: the rest is found in another round.
	for isMore := true; isMore; {
		isMore = false
		for _, service := range t.Resources {
			for {
				n, err := service.Purge(ctx, scope, before, purgeBatch)
				if err != nil {
					return removed, fmt.Errorf("purge %s: %w", service.Definition.Plural, err)
				}
				if n == 0 {
					break
				}
				removed[service.Definition.Plural] += n
				total += n
				isMore = true
				report(int64(total))
			}
		}
	}
	return removed, nil
}

// Expiry is one thing that expires.
type Expiry struct {
	// Name is what expires: "idempotency_keys".
	Name string
	// Keep is how long it is kept after it has expired.
	Keep time.Duration
	// Remove removes up to limit of those that expired longer ago than that, and says how many.
	Remove func(ctx context.Context, keep time.Duration, limit int) (int64, error)
}

// expireBatch is how many rows one transaction removes.
const expireBatch = 1000

// Expiries are removed in their order.
type Expiries []Expiry

// Remove removes all that has expired. report is told how many of them are gone so far.
func (e Expiries) Remove(ctx context.Context, report func(done int64)) (Removed, error) {
	removed, total := Removed{}, int64(0)
	for _, expiry := range e {
		for n := int64(expireBatch); n >= expireBatch; {
			var err error
			if n, err = expiry.Remove(ctx, expiry.Keep, expireBatch); err != nil {
				return removed, fmt.Errorf("remove expired %s: %w", expiry.Name, err)
			}
			if n > 0 {
				removed[expiry.Name] += int(n)
				total += n
				report(total)
			}
		}
	}
	return removed, nil
}
