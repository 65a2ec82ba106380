package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	s.seed(t, scope, "taken")
	create := func(row any) error { return s.App.Scoped(t.Context(), scope).Create(row).Error }
	by := func(sql string, args ...any) error { return raw(t.Context(), s.App, scope).Exec(sql, args...).Error }
	raise := func(code string) error {
		return by("do $$ begin raise exception 'SECRET' using errcode = '" + code + "'; end $$")
	}
	id := func() resource.Base { return resource.Base{ID: tenancy.NewID(), Version: 1} }
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	slow := s.App.InTx(t.Context(), scope, func(ctx context.Context) error {
		tx := raw(ctx, s.App, scope)
		if err := tx.Exec("set local statement_timeout = '10ms'").Error; err != nil {
			return err
		}
		return tx.Exec("select pg_sleep(60)").Error
	})
	cases := []struct {
		name string
		err  error
		kind fault.Kind
		code string
		// pointer and violation are the first violation's.
		pointer, violation string
	}{
		{"a unique value", create(&project{Base: id(), Name: "taken"}), fault.Conflict, "project.name_taken", "/name", "taken"},
		{"a key", create(&project{Base: resource.Base{ID: firstProject(t, s, scope)}, Name: "new"}), fault.Conflict, "project.id_taken", "/id", "taken"},
		{"a reference", create(&task{Base: id(), ProjectID: tenancy.NewID(), Title: "x"}), fault.Invalid, "validation_failed", "/project_id", "not_found"},
		{"what is referred to", by("delete from projects"), fault.Conflict, "project.in_use", "", ""},
		{"nothing where something must be", by("insert into projects (tenant_id, id, name) values (?, ?, null)", scope.Tenant, tenancy.NewID()), fault.Invalid, "validation_failed", "/name", "required"},
		{"a rule", by("update tasks set points = -1"), fault.Invalid, "validation_failed", "/points", "invalid"},
		{"too long", by("update tasks set title = ?", strings.Repeat("x", 201)), fault.Invalid, "validation_failed", "", "too_long"},
		{"out of range", by("update tasks set points = 9223372036854775807 + 1::int8"), fault.Invalid, "validation_failed", "", "out_of_range"},
		{"a date out of range", by("select ?::timestamptz", "999999-01-01"), fault.Invalid, "validation_failed", "", "out_of_range"},
		{"text that is no number", by("select ?::int", "SECRET"), fault.Invalid, "validation_failed", "", "invalid"},
		{"text that is no id", by("select ?::uuid", "SECRET"), fault.Invalid, "validation_failed", "", "invalid"},
		{"text that is no date", by("select ?::date", "SECRET"), fault.Invalid, "validation_failed", "", "invalid"},
		{"NUL", create(&memo{ID: tenancy.NewID(), Text: "a\x00b"}), fault.Invalid, "validation_failed", "", "encoding"},
		{"NUL in JSON", by(`select ?::jsonb ->> 'a'`, `{"a": "\u0000"}`), fault.Invalid, "validation_failed", "", "encoding"},
		{"not UTF-8", create(&memo{ID: tenancy.NewID(), Text: "a\xffb"}), fault.Invalid, "validation_failed", "", "encoding"},
		{"no row", s.App.Scoped(t.Context(), scope).Take(&memo{}, "text = ?", "nothing").Error, fault.NotFound, "not_found", "", ""},
		{"cancelled", s.App.Scoped(cancelled, scope).Find(&[]memo{}).Error, fault.Unavailable, "request.cancelled", "", ""},
		{"too slow", slow, fault.Unavailable, "database.timeout", "", ""},
		{"too slow by the server", raise("57014"), fault.Unavailable, "database.timeout", "", ""},
		{"a process that stood still in a transaction", raise("25P03"), fault.Unavailable, "database.timeout", "", ""},
		{"locked", raise("55P03"), fault.Unavailable, "database.busy", "", ""},
		{"serialization", raise("40001"), fault.Conflict, "database.contention", "", ""},
		{"shutdown", raise("57P01"), fault.Unavailable, "database.unavailable", "", ""},
		{"too many connections", raise("53300"), fault.Unavailable, "database.unavailable", "", ""},
		{"disk full", raise("53100"), fault.Unavailable, "database.unavailable", "", ""},
		{"connection failure", raise("08006"), fault.Unavailable, "database.unavailable", "", ""},
		{"read-only standby", raise("25006"), fault.Unavailable, "database.unavailable", "", ""},
		{"revoked", raise("GW401"), fault.Unauthorized, "auth.revoked", "", ""},
		{"outdated", raise("GW402"), fault.Unauthorized, "auth.outdated", "", ""},
		{"suspended", raise("GW403"), fault.Forbidden, "tenant.suspended", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, c.err)
			f, ok := fault.As(translate(fmt.Errorf("wrapped: %w", c.err)))
			require.Truef(t, ok, "%v", c.err)
			assert.Equal(t, c.kind, f.Kind)
			assert.Equal(t, c.code, f.Code)
			require.ErrorIs(t, f, c.err, "the cause stays for logs")
			said := f.Code + f.Detail
			if c.violation != "" {
				if assert.Len(t, f.Violations, 1) {
					assert.Equal(t, c.pointer, f.Violations[0].Pointer)
					assert.Equal(t, c.violation, f.Violations[0].Code)
					said += f.Violations[0].Detail
				}
			}
			for _, leak := range []string{"SECRET", "select", "insert", "constraint", "SQLSTATE", "relation", "projects_"} {
				assert.NotContains(t, said, leak)
			}
		})
	}
	t.Run("leaves the rest as it is", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, translate(nil))
		assert.Equal(t, assert.AnError, translate(assert.AnError))
		own := fault.New(fault.Stale, "x", "y")
		assert.Equal(t, error(own), translate(own))
		bug := by("selec")
		assert.Equal(t, bug, translate(bug))
		assert.Equal(t, fault.Internal, fault.KindOf(translate(errRaw)))
	})
}

func firstProject(t *testing.T, s *sample, scope tenancy.Scope) tenancy.ID {
	t.Helper()
	var p project
	require.NoError(t, s.App.Scoped(t.Context(), scope).Take(&p).Error)
	return p.ID
}

func TestTranslate_says_that_the_database_is_away(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.system(t)
	db := s.open(t, Config{MaxConnections: 1})
	require.NoError(t, db.Scoped(t.Context(), scope).Find(&[]memo{}).Error)
	failed := make(chan error, 1)
	go func() { failed <- raw(t.Context(), db, scope).Exec("select pg_sleep(60)").Error }()
	assert.Eventually(t, func() bool {
		var ended bool
		err := s.Bare.sql.QueryRowContext(t.Context(), `select coalesce(bool_or(pg_terminate_backend(pid)), false) from pg_stat_activity
			where datname = current_database() and usename = 'groundwork_app' and query like '%pg_sleep(60)%' and state = 'active'`).Scan(&ended)
		return err == nil && ended
	}, waitFor, tick)
	err := <-failed
	f, ok := fault.As(translate(err))
	require.True(t, ok, "%v", err)
	assert.Equal(t, fault.Unavailable, f.Kind)
	assert.Equal(t, retryAfter, f.RetryAfter)
	require.NoError(t, db.Scoped(t.Context(), scope).Find(&[]memo{}).Error, "the next statement has a new connection")
	assert.NotErrorIs(t, err, gorm.ErrRecordNotFound)
}
