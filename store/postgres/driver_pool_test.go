package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestDriver_never_answers_with_another_tenants_rows(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	db := s.open(t, Config{MaxConnections: 4})
	const tenants, rounds = 64, 12
	scopes := make([]tenancy.Scope, tenants)
	for i := range scopes {
		scopes[i] = s.Tenant(t)
		require.NoError(t, db.Scoped(t.Context(), scopes[i]).Create(&memo{ID: tenancy.NewID(), Text: scopes[i].Tenant.String()}).Error)
	}
	var group errgroup.Group
	for i, scope := range scopes {
		group.Go(func() error {
			for round := range rounds {
				var got []string
				// Without a predicate: row level security and the setting are all there is.
				read := func(ctx context.Context) error {
					got = nil
					return raw(ctx, db, scope).Raw("select text from memos").Scan(&got).Error
				}
				var err error
				switch (i + round) % 3 {
				case 0:
					err = read(t.Context())
				case 1:
					err = db.InTx(t.Context(), scope, read)
				default:
					_ = raw(t.Context(), db, scope).Exec("select 1/0").Error
					err = read(t.Context())
				}
				if err != nil {
					return err
				}
				if len(got) != 1 || got[0] != scope.Tenant.String() {
					return fmt.Errorf("tenant %s read %v", scope.Tenant, got)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

// A setting of the session instead of the transaction is the mistake that this driver is there to make impossible: the
// test above must be able to fail.
func TestSession_settings_leak_over_a_pool(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	db := s.open(t, Config{MaxConnections: 2})
	var (
		wrong int
		mu    sync.Mutex
		group errgroup.Group
	)
	for range 8 {
		tenant := tenancy.NewID().String()
		group.Go(func() error {
			for range 20 {
				if _, err := db.sql.ExecContext(t.Context(), "select set_config('app.tenant_id', $1, false)", tenant); err != nil {
					return err
				}
				var got string
				if err := db.sql.QueryRowContext(t.Context(), "select current_setting('app.tenant_id')").Scan(&got); err != nil {
					return err
				}
				if got != tenant {
					mu.Lock()
					wrong++
					mu.Unlock()
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	assert.Positive(t, wrong)
}
