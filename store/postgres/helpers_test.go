package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/databasetest"
	"github.com/groundwork-saas/groundwork/store/sqltest"
)

// The sample of these tests: a project has tasks, which refer to it with their tenant, and notes, which refer to it
// by its id alone, as somebody would who forgot.
type (
	project struct {
		resource.Base

		Name  string
		Owner *string
		Tasks []task `gorm:"foreignKey:TenantID,ProjectID;references:TenantID,ID"`
		Memos []memo `gorm:"foreignKey:ProjectID;references:ID"`
	}
	task struct {
		resource.Base

		ProjectID tenancy.ID
		Title     string
		Points    int64
		Project   *project `gorm:"foreignKey:TenantID,ProjectID;references:TenantID,ID"`
	}
	// memo has no DeletedAt: a delete removes it.
	memo struct {
		TenantID  tenancy.ID `gorm:"primaryKey"`
		ID        tenancy.ID `gorm:"primaryKey"`
		ProjectID *tenancy.ID
		Text      string
		Project   *project `gorm:"foreignKey:ProjectID;references:ID"`
	}
)

const sampleSQL = `
set role groundwork_owner;
create table projects (
  tenant_id uuid not null, id uuid not null, version bigint not null default 1,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz,
  name text not null, owner text, primary key (tenant_id, id)
);
create unique index projects_name_key on projects (tenant_id, name) where deleted_at is null;
select protect_tenant_table('projects');
create table tasks (
  tenant_id uuid not null, id uuid not null, version bigint not null default 1,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz,
  project_id uuid not null, title varchar(200) not null, points bigint not null default 0 check (points >= 0),
  primary key (tenant_id, id), constraint tasks_project_id_fkey foreign key (tenant_id, project_id) references projects
);
select protect_tenant_table('tasks');
create table memos (
  tenant_id uuid not null, id uuid not null, project_id uuid, text text not null, primary key (tenant_id, id)
);
select protect_tenant_table('memos');
reset role;`

// sample is a database with the sample's tables.
type sample struct {
	*databasetest.Database

	// App is the store as the API sees it.
	App *DB
	// Bare is the store as a role for which row level security is not in force: what keeps tenants apart there is the
	// clauses and the guards alone.
	Bare *DB
}

type unrecordedKey struct{}

// record keeps what the tests send for TestMain to look at, but for what they send by hand.
func record(ctx context.Context, s Statement) {
	if ctx.Value(unrecordedKey{}) == nil && !s.System {
		sqltest.Sent.Record(s.SQL)
	}
}

func newSample(tb testing.TB) *sample {
	tb.Helper()
	s := &sample{Database: databasetest.New(tb)}
	admin := s.Admin(tb)
	_, err := admin.PgConn().Exec(tb.Context(), sampleSQL).ReadAll()
	require.NoError(tb, err)
	sqltest.Sent.Tables(s.TenantTables(tb)...)
	s.App = s.open(tb, Config{URL: s.AppURL, Observe: record})
	s.Bare = s.open(tb, Config{URL: s.AdminURL, Observe: record})
	return s
}

// open opens the database past Open's look at the role.
func (s *sample) open(tb testing.TB, config Config) *DB {
	tb.Helper()
	if config.URL == "" {
		config.URL = s.AppURL
	}
	if config.MaxConnections == 0 {
		config.MaxConnections = 4
	}
	db, err := open(config)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	require.NoError(tb, db.Register(&project{}, &task{}, &memo{}))
	return db
}

// seed makes a project with two tasks, one of them deleted, and a memo.
func (s *sample) seed(tb testing.TB, scope tenancy.Scope, name string) (project, task, task) {
	tb.Helper()
	p := project{Name: name}
	p.ID = tenancy.NewID()
	live, gone := task{ProjectID: p.ID, Title: name + " live", Points: 1}, task{ProjectID: p.ID, Title: name + " gone", Points: 2}
	live.ID, gone.ID = tenancy.NewID(), tenancy.NewID()
	now := time.Now()
	gone.DeletedAt = &now
	n := memo{ID: tenancy.NewID(), ProjectID: &p.ID, Text: name + " memo"}
	err := s.App.InTx(tb.Context(), scope, func(ctx context.Context) error {
		tx := s.App.Scoped(ctx, scope)
		for _, row := range []any{&p, &live, &gone, &n} {
			if err := tx.Create(row).Error; err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(tb, err)
	return p, live, gone
}

func (s *sample) system(tb testing.TB) tenancy.Scope {
	tb.Helper()
	return tenancy.AsSystem(s.TenantID(tb), "")
}

// raw is a scoped session for statements by hand.
func raw(ctx context.Context, db *DB, scope tenancy.Scope) *gorm.DB {
	return rawOK(db.Scoped(context.WithValue(ctx, unrecordedKey{}, true), scope))
}

const (
	waitFor = time.Minute
	tick    = time.Millisecond
)
