package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// What was taken away bites at the very next statement, whatever it is, and a write does not happen.
func TestAccess_that_was_taken_away(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	takeAway := []struct {
		name, sql string
		argument  func(scope tenancy.Scope) tenancy.ID
		kind      fault.Kind
		code      string
	}{
		{
			"the membership", "delete from memberships where user_id = $1",
			func(scope tenancy.Scope) tenancy.ID { return scope.Actor.ID }, fault.Unauthorized, "auth.revoked",
		},
		{
			"the session", "update sessions set revoked_at = now() where id = $1",
			func(scope tenancy.Scope) tenancy.ID { return scope.Actor.Session }, fault.Unauthorized, "auth.revoked",
		},
		{
			"the session's time", "update sessions set expires_at = now() where id = $1",
			func(scope tenancy.Scope) tenancy.ID { return scope.Actor.Session }, fault.Unauthorized, "auth.revoked",
		},
		{
			"the role", "update memberships set role = 'viewer', version = version + 1 where user_id = $1",
			func(scope tenancy.Scope) tenancy.ID { return scope.Actor.ID }, fault.Unauthorized, "auth.outdated",
		},
		{
			"the tenant", "update tenants set state = 'suspended' where id = $1",
			func(scope tenancy.Scope) tenancy.ID { return scope.Tenant }, fault.Forbidden, "tenant.suspended",
		},
	}
	statements := map[string]func(ctx context.Context, scope tenancy.Scope) error{
		"a read": func(ctx context.Context, scope tenancy.Scope) error {
			return s.App.Scoped(ctx, scope).Find(&[]memo{}).Error
		},
		"a row": func(ctx context.Context, scope tenancy.Scope) error {
			var n int64
			return s.App.Scoped(ctx, scope).Model(&memo{}).Select("count(*)").Row().Scan(&n)
		},
		"a write": func(ctx context.Context, scope tenancy.Scope) error {
			return s.App.Scoped(ctx, scope).Create(&memo{ID: tenancy.NewID(), Text: "written"}).Error
		},
		"an update": func(ctx context.Context, scope tenancy.Scope) error {
			return s.App.Scoped(ctx, scope).Model(&memo{}).Where("1 = 1").Update("text", "written").Error
		},
		"a delete": func(ctx context.Context, scope tenancy.Scope) error {
			return s.App.Scoped(ctx, scope).Where("1 = 1").Delete(&memo{}).Error
		},
		"a transaction": func(ctx context.Context, scope tenancy.Scope) error {
			return s.App.InTx(ctx, scope, func(ctx context.Context) error {
				return s.App.Scoped(ctx, scope).Create(&memo{ID: tenancy.NewID(), Text: "written"}).Error
			})
		},
		"a transaction of deferred statements": func(ctx context.Context, scope tenancy.Scope) error {
			return s.App.InTx(ctx, scope, func(ctx context.Context) error {
				return DeferCreate(s.App.Scoped(ctx, scope), &memo{ID: tenancy.NewID(), Text: "written"})
			})
		},
		"raw SQL": func(ctx context.Context, scope tenancy.Scope) error {
			return raw(ctx, s.App, scope).Exec("update memos set text = 'written'").Error
		},
	}
	for _, taken := range takeAway {
		for name, statement := range statements {
			t.Run(taken.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				scope := s.Tenant(t)
				require.NoError(t, statement(t.Context(), scope), "before")
				s.Exec(t, "delete from memos where tenant_id = $1", scope.Tenant.String())
				s.Exec(t, "insert into memos (tenant_id, id, text) values ($1, $1, 'as it was')", scope.Tenant.String())
				s.Exec(t, taken.sql, taken.argument(scope).String())

				err := translate(statement(t.Context(), scope))
				f, ok := fault.As(err)
				require.Truef(t, ok, "%v", err)
				assert.Equal(t, taken.kind, f.Kind)
				assert.Equal(t, taken.code, f.Code)
				var texts []string
				require.NoError(t, s.App.Scoped(t.Context(), tenancy.AsSystem(scope.Tenant, "")).Model(&memo{}).Pluck("text", &texts).Error)
				assert.Equal(t, []string{"as it was"}, texts)
			})
		}
	}
}

func TestAccess_of_an_API_key(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	tenant, key := s.TenantID(t), tenancy.NewID()
	s.Exec(t, `insert into api_keys (tenant_id, id, name, prefix, token_hash, scopes, created_by, created_at, updated_at)
		values ($1, $2, 'k', 'p', $3, '{}', $2, now(), now())`, tenant.String(), key.String(), key[:])
	scope := tenancy.Scope{Tenant: tenant, Actor: tenancy.Actor{Kind: tenancy.APIKey, ID: key, Version: 1}}
	read := func() error { return translate(s.App.Scoped(t.Context(), scope).Find(&[]memo{}).Error) }
	require.NoError(t, read())
	scope.Actor.Version = 2
	assert.True(t, fault.Is(read(), "auth.outdated"))
	scope.Actor.Version = 1
	other := scope
	other.Tenant = s.TenantID(t)
	err := translate(s.App.Scoped(t.Context(), other).Find(&[]memo{}).Error)
	assert.True(t, fault.Is(err, "auth.revoked"), "a key opens its own tenant only: %v", err)
	s.Exec(t, "update api_keys set revoked_at = now() where id = $1", key.String())
	assert.True(t, fault.Is(read(), "auth.revoked"))
}

func TestAccess_is_checked_before_an_aborting_statement_is_run(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	scope.Actor.ID = tenancy.NewID() // nobody
	var group errgroup.Group
	for i := range 32 {
		group.Go(func() error {
			err := translate(s.App.Scoped(t.Context(), scope).Create(&memo{ID: tenancy.NewID(), Text: fmt.Sprint(i)}).Error)
			if !fault.Is(err, "auth.revoked") {
				return fmt.Errorf("attempt %d: %w", i, err)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	var n int64
	require.NoError(t, s.App.Scoped(t.Context(), tenancy.AsSystem(scope.Tenant, "")).Model(&memo{}).Count(&n).Error)
	assert.Zero(t, n)
}

func TestControl_sees_the_control_plane_and_no_tenants_rows(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	require.NoError(t, s.App.Scoped(t.Context(), scope).Create(&memo{ID: tenancy.NewID(), Text: "x"}).Error)
	count := func(tx *gorm.DB, table string) (n int) {
		require.NoError(t, rawOK(tx.WithContext(context.WithValue(tx.Statement.Context, unrecordedKey{}, true))).Raw("select count(*) from "+table).Row().Scan(&n))
		return n
	}
	none := s.App.gorm.WithContext(t.Context())
	assert.Zero(t, count(none, "users"), "a connection that says nothing sees nothing")
	assert.Zero(t, count(none, "memos"))
	assert.Positive(t, count(s.App.control(t.Context()), "users"))
	assert.Zero(t, count(s.App.control(t.Context()), "memos"))

	other := s.Tenant(t)
	err := s.App.controlTx(t.Context(), &scope.Tenant, func(ctx context.Context) error {
		assert.Equal(t, 3, count(s.App.control(ctx), "tenants"))
		assert.Equal(t, 1, count(s.App.control(ctx), "memos"))
		// In the control plane a transaction may go from tenant to tenant.
		elsewhere := s.App.Scoped(ctx, other)
		if err := elsewhere.Create(&memo{ID: tenancy.NewID(), Text: "first"}).Error; err != nil {
			return err
		}
		if err := DeferCreate(elsewhere, &memo{ID: tenancy.NewID(), Text: "deferred"}); err != nil {
			return err
		}
		if err := DeferCreate(s.App.Scoped(ctx, tenancy.AsSystem(scope.Tenant, "")), &memo{ID: tenancy.NewID(), Text: "back"}); err != nil {
			return err
		}
		return DeferCreate(elsewhere, &memo{ID: tenancy.NewID(), Text: "there again"})
	})
	require.NoError(t, err)
	var n int64
	require.NoError(t, s.App.Scoped(t.Context(), other).Model(&memo{}).Count(&n).Error)
	assert.EqualValues(t, 3, n)
	require.NoError(t, s.App.Scoped(t.Context(), scope).Model(&memo{}).Count(&n).Error)
	assert.EqualValues(t, 2, n)
}
