package files

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

const (
	// purgeBatch is how many files are purged in one transaction, sweepBatch how many contents are looked up at once.
	purgeBatch, sweepBatch = 200, 500
	// orphanAge is how old contents without a file must be to be swept: longer than any transfer takes.
	orphanAge = 24 * time.Hour
)

// Upkeep removes what nobody can reach any more, for all tenants. Each of its acts is safe to run at any time and from
// several places at once.
type Upkeep struct {
	Store    SystemStore
	Contents Contents
	// RetainFor is how long files stay in the trash.
	RetainFor time.Duration
	Now       func() time.Time
}

// Purge removes for good the files that have been in the trash for longer than RetainFor, and their contents. It
// returns how many.
func (u Upkeep) Purge(ctx context.Context) (int, error) {
	purged := 0
	for {
		now := u.Now().UTC()
		before := now.Add(-u.RetainFor)
		due, err := u.Store.ListDueFiles(ctx, before, purgeBatch)
		if err != nil || len(due) == 0 {
			return purged, err
		}
		byTenant := map[tenancy.ID][]tenancy.ID{}
		for _, ref := range due {
			byTenant[ref.Tenant] = append(byTenant[ref.Tenant], ref.ID)
		}
		removed := 0
		for tenant, ids := range byTenant {
			gone, err := u.Store.PurgeFiles(ctx, tenancy.AsSystem(tenant, ""), ids, now, before)
			if err != nil {
				return purged, err
			}
			removed += len(gone)
			for _, id := range gone { // what fails here, the sweep finds
				err = errors.Join(err, u.Contents.Delete(ctx, Key(tenant, id)))
			}
			if err != nil {
				return purged + removed, err
			}
		}
		purged += removed
		if removed == 0 { // others purge the same ones
			return purged, nil
		}
	}
}

// Sweep removes contents that are a day old and have no file: what was received and never became one, what was purged
// in part, what an interrupted transfer left. It returns how many.
func (u Upkeep) Sweep(ctx context.Context) (int, error) {
	s := sweep{Upkeep: u, before: u.Now().Add(-orphanAge)}
	if err := u.Contents.List(ctx, func(c Content) error { return s.see(ctx, c) }); err != nil {
		return s.removed, err
	}
	return s.removed, s.flush(ctx)
}

// sweep is one walk over the contents; it looks them up by tenant, in batches.
type sweep struct {
	Upkeep

	before  time.Time
	tenant  tenancy.ID
	pending map[tenancy.ID]Content
	removed int
}

func (s *sweep) see(ctx context.Context, c Content) error {
	if !c.ModifiedAt.Before(s.before) {
		return nil
	}
	tenant, id, ok := ParseKey(c.Key)
	if !ok {
		if c.Key != "" {
			return nil // not ours: whoever put it there knows what it is
		}
		return s.remove(ctx, c)
	}
	if tenant != s.tenant || len(s.pending) == sweepBatch {
		if err := s.flush(ctx); err != nil {
			return err
		}
		s.tenant = tenant
	}
	if s.pending == nil {
		s.pending = map[tenancy.ID]Content{}
	}
	s.pending[id] = c
	return nil
}

func (s *sweep) flush(ctx context.Context) error {
	if len(s.pending) == 0 {
		return nil
	}
	ids := make([]tenancy.ID, 0, len(s.pending))
	for id := range s.pending {
		ids = append(ids, id)
	}
	known, err := s.Store.ListKnownFiles(ctx, s.tenant, ids)
	if err != nil {
		return err
	}
	for id, c := range s.pending {
		if slices.Contains(known, id) {
			continue
		}
		if err := s.remove(ctx, c); err != nil {
			return err
		}
	}
	clear(s.pending)
	return nil
}

func (s *sweep) remove(ctx context.Context, c Content) error {
	if err := c.Remove(ctx); err != nil {
		return err
	}
	s.removed++
	return nil
}
