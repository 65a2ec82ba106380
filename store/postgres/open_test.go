package postgres

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

func TestOpen_refuses_a_role_that_row_level_security_does_not_bind(t *testing.T) {
	t.Parallel()
	d := databasetest.New(t)
	for name, c := range map[string]struct{ url, says string }{
		"a superuser":                          {d.AdminURL, "is a superuser"},
		"one who may become the tables' owner": {d.MigratorURL, `may become "groundwork_owner", which owns tables`},
	} {
		_, err := Open(t.Context(), Config{URL: c.url})
		require.ErrorContains(t, err, c.says, name)
		require.ErrorContains(t, err, "connect as groundwork_app", name)
	}
	for _, url := range []string{d.AppURL, d.WorkerURL, d.SystemURL, d.ReportingURL} {
		db, err := Open(t.Context(), Config{URL: url})
		require.NoError(t, err)
		require.NoError(t, db.Ping(t.Context()))
		require.NoError(t, db.Close())
		require.Error(t, db.Ping(t.Context()))
	}
	// A table of its own is found out as well.
	d.Exec(t, "create table mine (id int)")
	d.Exec(t, "alter table mine owner to groundwork_worker")
	_, err := Open(t.Context(), Config{URL: d.WorkerURL})
	require.ErrorContains(t, err, "owns tables (mine)")
	d.Exec(t, "drop table mine")
}

func TestOpen_refuses_what_it_cannot_read_without_telling_the_password(t *testing.T) {
	t.Parallel()
	for _, config := range []Config{
		{},
		{URL: "postgres://app:s3cret@host:port/x"},
		{URL: "postgres://app:s3cret@127.0.0.1:1/x?connect_timeout=1"},
		{URL: "postgres://app:s3cret@127.0.0.1:1/x", ExecMode: "quickly"},
	} {
		_, err := Open(t.Context(), config)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "s3cret")
	}
	_, err := Open(t.Context(), Config{URL: "postgres://app@127.0.0.1:1/x"})
	f, ok := fault.As(translate(err))
	require.True(t, ok, "%v", err)
	assert.Equal(t, fault.Unavailable, f.Kind)
	assert.Positive(t, f.RetryAfter)
}

func TestOpen_keeps_the_connections_that_it_opened(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	db := s.open(t, Config{MaxConnections: 5})
	var held []*sql.Conn
	for range 5 {
		conn, err := db.sql.Conn(t.Context())
		require.NoError(t, err)
		held = append(held, conn)
	}
	for _, conn := range held {
		require.NoError(t, conn.Close())
	}
	assert.Equal(t, 5, db.Stats().Idle, "database/sql alone would keep two")
	assert.Equal(t, 5, db.Stats().MaxOpenConnections)

	young := s.open(t, Config{MaxConnections: 1, ConnectionLifetime: time.Nanosecond})
	pid := func() (pid int) {
		require.NoError(t, young.sql.QueryRowContext(t.Context(), "select pg_backend_pid()").Scan(&pid))
		return pid
	}
	first := pid()
	assert.NotEqual(t, first, pid(), "a connection past its time is not kept")
}

func TestObserver_sees_statements_and_no_values(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	scope := s.Tenant(t)
	require.NoError(t, s.App.Scoped(t.Context(), scope).Where("text = ?", "hush").Find(&[]memo{}).Error)
	err := s.App.Scoped(t.Context(), scope).Where("text = ?::int", "hush").Find(&[]memo{}).Error
	require.Error(t, err)
	assert.NotContains(t, strings.ToLower(faultText(t, err)), "hush")
}

func faultText(t *testing.T, err error) string {
	t.Helper()
	f, ok := fault.As(translate(err))
	if !ok {
		return ""
	}
	return f.Code + f.Detail
}
