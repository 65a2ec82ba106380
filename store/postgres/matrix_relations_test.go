package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// registerProduct registers the product's own resources.
func registerProduct(tb testing.TB, dbs ...*DB) {
	tb.Helper()
	for _, db := range dbs {
		for _, d := range catalog.All() {
			require.NoError(tb, db.Register(d.New()))
		}
	}
}

// relation is a case of the matrix with related rows. Each tenant has a project with a live task, a deleted one and a
// memo; ours has a second memo, which refers to the other tenant's project.
type relation struct {
	name    string
	refused bool
	do      func(f *related, tx *gorm.DB) (found any, err error)
}

type related struct {
	t            *testing.T
	db           *DB
	us           tenancy.Scope
	ours, theirs project
	live, gone   task
	stray        memo
	theirTask    task
	theirMemo    memo
}

func (f *related) fresh() *gorm.DB { return f.db.Scoped(f.t.Context(), f.us) }

func TestMatrix_of_relations(t *testing.T) {
	t.Parallel()
	for _, protection := range []string{"clauses and guards alone", "with row level security"} {
		t.Run(protection, func(t *testing.T) {
			t.Parallel()
			s := newSample(t)
			for _, r := range relationOperations() {
				us, them := s.system(t), s.system(t)
				f := &related{db: s.Bare, us: us}
				if protection != "clauses and guards alone" {
					f.db = s.App
				}
				f.ours, f.live, f.gone = s.seed(t, us, us.Tenant.String())
				f.theirs, f.theirTask, _ = s.seed(t, them, them.Tenant.String())
				f.stray = memo{ID: tenancy.NewID(), ProjectID: &f.theirs.ID, Text: "stray"}
				require.NoError(t, s.App.Scoped(t.Context(), us).Create(&f.stray).Error)
				require.NoError(t, s.App.Scoped(t.Context(), them).Take(&f.theirMemo).Error)
				t.Run(r.name, func(t *testing.T) {
					f.t = t
					before, oursBefore := s.contents(t, them.Tenant), s.contents(t, us.Tenant)
					found, err := r.do(f, f.fresh())
					assert.NotContains(t, text(found), them.Tenant.String(), "it shows another tenant's row")
					assert.Equal(t, before, s.contents(t, them.Tenant), "it changes another tenant's rows")
					if !r.refused {
						assert.NoError(t, err)
						return
					}
					if assert.Error(t, err) {
						assert.Equal(t, oursBefore, s.contents(t, us.Tenant), "a refused operation changes rows: %v", err)
					}
				})
			}
		})
	}
}

func relationOperations() []relation {
	return append(relationReads(), relationWrites()...)
}

func relationReads() []relation {
	strayHasNoProject := func(memos []memo) error {
		for _, m := range memos {
			if m.Text == "stray" && m.Project != nil && !m.Project.ID.IsZero() {
				return fmt.Errorf("the stray memo found the project %v", m.Project.ID)
			}
		}
		return exactly(2, int64(len(memos)))
	}
	find := func(change func(f *related, tx *gorm.DB) *gorm.DB) func(f *related, tx *gorm.DB) (any, error) {
		return func(f *related, tx *gorm.DB) (any, error) {
			var memos []memo
			if err := change(f, tx).Find(&memos).Error; err != nil {
				return memos, err
			}
			return memos, strayHasNoProject(memos)
		}
	}
	return []relation{
		{name: "Joins", do: find(func(_ *related, tx *gorm.DB) *gorm.DB { return tx.Joins("Project") })},
		{name: "Joins/Or", do: find(func(f *related, tx *gorm.DB) *gorm.DB {
			return tx.Joins("Project", f.fresh().Where("1 = 0").Or("1 = 1")).Where("1 = 0").Or("1 = 1")
		})},
		{name: "Joins/Count", do: func(_ *related, tx *gorm.DB) (any, error) {
			var n int64
			if err := tx.Model(&memo{}).Joins("Project").Where(`"Project".id IS NOT NULL`).Count(&n).Error; err != nil {
				return nil, err
			}
			return nil, exactly(1, n)
		}},
		{name: "InnerJoins", do: func(_ *related, tx *gorm.DB) (any, error) {
			var memos []memo
			if err := tx.InnerJoins("Project").Find(&memos).Error; err != nil {
				return nil, err
			}
			return memos, exactly(1, int64(len(memos)))
		}},
		{name: "Joins/deleted rows are not joined", do: func(f *related, tx *gorm.DB) (any, error) {
			if err := tx.Delete(&project{Base: resource.Base{ID: f.ours.ID}}).Error; err != nil {
				return nil, err
			}
			var memos []memo
			if err := f.fresh().InnerJoins("Project").Find(&memos).Error; err != nil {
				return nil, err
			}
			return memos, exactly(0, int64(len(memos)))
		}},
		{name: "Joins/condition with a subquery of no scope", refused: true, do: find(func(f *related, tx *gorm.DB) *gorm.DB {
			return tx.Joins("Project", f.fresh().Where("1 IN (?)", f.db.gorm.Model(&project{}).Select("1")))
		})},
		{name: "Joins/raw", refused: true, do: find(func(_ *related, tx *gorm.DB) *gorm.DB {
			return tx.Joins("LEFT JOIN projects ON projects.id = memos.project_id")
		})},
		{name: "Joins/relation's name with more behind it", refused: true, do: find(func(_ *related, tx *gorm.DB) *gorm.DB {
			return tx.Joins("Project, projects p")
		})},
		{name: "gorm.G/Joins", do: func(_ *related, tx *gorm.DB) (any, error) {
			memos, err := gorm.G[memo](tx).Joins(clause.LeftJoin.Association("Project"),
				func(gorm.JoinBuilder, clause.Table, clause.Table) error { return nil }).Find(tx.Statement.Context)
			if err != nil {
				return nil, err
			}
			return memos, strayHasNoProject(memos)
		}},
		{name: "gorm.G/Joins of a subquery", refused: true, do: func(_ *related, tx *gorm.DB) (any, error) {
			return gorm.G[memo](tx).Joins(clause.LeftJoin.AssociationFrom("Project", gorm.G[project](tx)),
				func(gorm.JoinBuilder, clause.Table, clause.Table) error { return nil }).Find(tx.Statement.Context)
		}},
		{name: "Preload", do: find(func(_ *related, tx *gorm.DB) *gorm.DB { return tx.Preload("Project") })},
		{name: "Preload/all", do: find(func(_ *related, tx *gorm.DB) *gorm.DB { return tx.Preload(clause.Associations) })},
		{name: "Preload/deleted rows are not loaded", do: func(f *related, tx *gorm.DB) (any, error) {
			var p project
			if err := tx.Preload("Tasks").Preload("Memos").Take(&p).Error; err != nil {
				return nil, err
			}
			if len(p.Tasks) != 1 || p.Tasks[0].ID != f.live.ID {
				return p, fmt.Errorf("the tasks are %v", p.Tasks)
			}
			return p, exactly(1, int64(len(p.Memos)))
		}},
		{name: "Preload/with trash", do: func(_ *related, tx *gorm.DB) (any, error) {
			var p project
			if err := tx.Scopes(Trash(resource.WithTrash)).Preload("Tasks").Take(&p).Error; err != nil {
				return nil, err
			}
			return p, exactly(2, int64(len(p.Tasks)))
		}},
		{name: "Preload/of a deleted record", do: func(f *related, tx *gorm.DB) (any, error) {
			if err := tx.Delete(&project{Base: resource.Base{ID: f.ours.ID}}).Error; err != nil {
				return nil, err
			}
			var p project
			if err := f.fresh().Scopes(Trash(resource.TrashOnly)).Preload("Tasks").Take(&p).Error; err != nil {
				return nil, err
			}
			return p, exactly(2, int64(len(p.Tasks)))
		}},
		{name: "Preload/condition with Or", do: func(_ *related, tx *gorm.DB) (any, error) {
			var p project
			err := tx.Preload("Tasks", func(tx *gorm.DB) *gorm.DB { return tx.Where("1 = 1 OR true") }).
				Preload("Memos", "1 = 1 OR true").Take(&p).Error
			return p, err
		}},
		{name: "Preload/nested", do: func(_ *related, tx *gorm.DB) (any, error) {
			var memos []memo
			err := tx.Preload("Project.Tasks.Project").Preload("Project.Memos").Find(&memos).Error
			return memos, err
		}},
		{name: "Preload/condition with a raw subquery", refused: true, do: func(_ *related, tx *gorm.DB) (any, error) {
			var p project
			err := tx.Preload("Tasks", "exists (select 1 from tasks)").Take(&p).Error
			return nil, err
		}},
		{name: "Preload/Unscoped", refused: true, do: func(_ *related, tx *gorm.DB) (any, error) {
			var p project
			err := tx.Preload("Tasks", func(tx *gorm.DB) *gorm.DB { return tx.Unscoped() }).Take(&p).Error
			return nil, err
		}},
		{name: "Association/Find", do: func(f *related, tx *gorm.DB) (any, error) {
			var tasks []task
			if err := tx.Model(&f.ours).Association("Tasks").Find(&tasks); err != nil {
				return nil, err
			}
			return tasks, exactly(1, int64(len(tasks)))
		}},
		{name: "Association/Find of another tenant's", do: func(f *related, tx *gorm.DB) (any, error) {
			var memos []memo
			if err := tx.Model(&f.theirs).Association("Memos").Find(&memos); err != nil {
				return nil, err
			}
			return nil, exactly(1, int64(len(memos))) // our stray one
		}},
		{name: "Association/Find of the project of a stray memo", do: func(f *related, tx *gorm.DB) (any, error) {
			var projects []project
			if err := tx.Model(&f.stray).Association("Project").Find(&projects); err != nil {
				return nil, err
			}
			return projects, exactly(0, int64(len(projects)))
		}},
		{name: "Association/Count", do: func(f *related, tx *gorm.DB) (any, error) {
			return nil, exactly(1, tx.Model(&f.theirs).Association("Memos").Count())
		}},
	}
}

func relationWrites() []relation {
	return []relation{
		{name: "Create/with related rows", do: func(_ *related, tx *gorm.DB) (any, error) {
			p := project{Base: resource.Base{ID: tenancy.NewID(), Version: 1}, Name: "new"}
			p.Tasks = []task{{Base: resource.Base{ID: tenancy.NewID(), Version: 1}, Title: "new"}}
			if err := tx.Create(&p).Error; err != nil {
				return nil, err
			}
			var n int64
			err := tx.Session(&gorm.Session{NewDB: true}).Model(&task{}).Where("title = 'new'").Count(&n).Error
			if err != nil {
				return nil, err
			}
			return nil, exactly(1, n)
		}},
		{name: "Create/with another tenant's related row", refused: true, do: func(f *related, tx *gorm.DB) (any, error) {
			return nil, tx.Create(&memo{ID: tenancy.NewID(), Text: "x", Project: &f.theirs}).Error
		}},
		{name: "Create/with the key of another tenant's row", do: func(f *related, tx *gorm.DB) (any, error) {
			p := project{Base: resource.Base{ID: f.theirs.ID, Version: 1}, Name: "same key"}
			return nil, tx.Create(&memo{ID: tenancy.NewID(), Text: "x", Project: &p}).Error
		}},
		{name: "FullSaveAssociations/with another tenant's task becomes a task of ours", do: func(f *related, tx *gorm.DB) (any, error) {
			p := f.ours
			p.Tasks = []task{f.theirTask}
			p.Tasks[0].Title = "stolen"
			return nil, inTx(f, func(tx *gorm.DB) error {
				return tx.Session(&gorm.Session{FullSaveAssociations: true}).Updates(&p).Error
			})
		}},
		{name: "FullSaveAssociations/with the key of another tenant's memo", do: func(f *related, tx *gorm.DB) (any, error) {
			p := f.ours
			p.Memos = []memo{{ID: f.theirMemo.ID, Text: "mine"}}
			return nil, tx.Session(&gorm.Session{FullSaveAssociations: true}).Updates(&p).Error
		}},
		{name: "Association/Append with the key of another tenant's memo", do: func(f *related, tx *gorm.DB) (any, error) {
			return nil, tx.Model(&f.ours).Association("Memos").Append(&memo{ID: f.theirMemo.ID, Text: "mine"})
		}},
		{name: "Association/Append of another tenant's memo", refused: true, do: func(f *related, tx *gorm.DB) (any, error) {
			return nil, inTx(f, func(tx *gorm.DB) error { return tx.Model(&f.ours).Association("Memos").Append(&f.theirMemo) })
		}},
		{name: "Association/Replace", do: func(f *related, tx *gorm.DB) (any, error) {
			return nil, tx.Model(&f.ours).Association("Memos").Replace(&memo{ID: tenancy.NewID(), Text: "mine"})
		}},
		{name: "Association/Delete of another tenant's memo", do: func(f *related, tx *gorm.DB) (any, error) {
			theirs := f.theirMemo
			theirs.TenantID = tenancy.ID{}
			return nil, tx.Model(&f.theirs).Association("Memos").Delete(&theirs)
		}},
		{name: "Association/Clear of another tenant's", do: func(f *related, tx *gorm.DB) (any, error) {
			theirs := project{Base: resource.Base{ID: f.theirs.ID}}
			return nil, tx.Model(&theirs).Association("Memos").Clear()
		}},
		{name: "Association/Clear that would empty the tenant", refused: true, do: func(f *related, tx *gorm.DB) (any, error) {
			return nil, tx.Model(&f.ours).Association("Tasks").Clear()
		}},
		{name: "Association/Unscoped Clear of another tenant's", do: func(f *related, tx *gorm.DB) (any, error) {
			theirs := project{Base: resource.Base{ID: f.theirs.ID}}
			return nil, tx.Model(&theirs).Association("Memos").Unscoped().Clear()
		}},
		{name: "Delete/with related rows of another tenant", do: func(f *related, tx *gorm.DB) (any, error) {
			theirs := project{Base: resource.Base{ID: f.theirs.ID}}
			return nil, tx.Select("Memos").Delete(&theirs).Error
		}},
	}
}

func inTx(f *related, fn func(tx *gorm.DB) error) error {
	return f.db.InTx(f.t.Context(), f.us, func(ctx context.Context) error { return fn(f.db.Scoped(ctx, f.us)) })
}

func TestRegister_refuses(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	type label struct {
		TenantID tenancy.ID
		ID       tenancy.ID
	}
	type labelled struct {
		TenantID tenancy.ID
		ID       tenancy.ID
		Labels   []label `gorm:"many2many:labelled_labels"`
	}
	err := s.App.Register(&labelled{})
	require.ErrorContains(t, err, "many-to-many")
	type country struct{ ID tenancy.ID }
	err = s.App.Register(&country{})
	require.ErrorContains(t, err, "TenantID")
	type branch struct {
		TenantID  tenancy.ID
		ID        tenancy.ID
		CountryID tenancy.ID
		Country   *country
	}
	err = s.App.Register(&branch{})
	require.ErrorContains(t, err, "branch.Country")
	require.NoError(t, s.App.Register(&task{}), "twice is once")
	require.NoError(t, s.App.Scoped(t.Context(), s.system(t)).Find(&[]task{}).Error)
}
