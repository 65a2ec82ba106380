package postgres

import (
	"context"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// exactly is an error where there are not so many.
func exactly(n, got int64) error {
	if n != got {
		return fmt.Errorf("%d rows, not %d", got, n)
	}
	return nil
}

// operations are the cases that need one model.
func operations() []operation {
	return append(append(readOperations(), writeOperations()...), refusedOperations()...)
}

func readOperations() []operation {
	return []operation{
		{name: "First", do: func(s *subject, tx *gorm.DB) (any, error) {
			row := s.row()
			return nil, notTheirs(s, row, tx.First(row).Error)
		}},
		{name: "First/by another tenant's key", refused: true, do: func(s *subject, tx *gorm.DB) (any, error) {
			row := s.row()
			err := tx.Where(s.key(s.theirs)).First(row).Error
			return row, err
		}},
		{name: "First/into a struct with another tenant's key", refused: true, do: func(s *subject, tx *gorm.DB) (any, error) {
			row := s.row()
			for _, f := range s.model.schema.PrimaryFields {
				v, _ := f.ValueOf(context.Background(), s.theirs.Elem())
				_ = f.Set(context.Background(), reflect.ValueOf(row).Elem(), v)
			}
			return nil, tx.First(row).Error
		}},
		{name: "Take", do: func(s *subject, tx *gorm.DB) (any, error) {
			row := s.row()
			return nil, notTheirs(s, row, tx.Take(row).Error)
		}},
		{name: "Last", do: func(s *subject, tx *gorm.DB) (any, error) {
			row := s.row()
			return nil, notTheirs(s, row, tx.Last(row).Error)
		}},
		{name: "Find", do: func(s *subject, tx *gorm.DB) (any, error) { return findAll(s, tx) }},
		{name: "Find/inline condition", do: func(s *subject, tx *gorm.DB) (any, error) {
			rows := s.rows()
			tx = tx.Find(rows, "1 = 1 OR true")
			return tenantsIn(s, rows), tx.Error
		}},
		{name: "Find/with trash", do: func(s *subject, tx *gorm.DB) (any, error) {
			return findAll(s, tx.Scopes(Trash(resource.WithTrash)))
		}},
		{name: "Where.Or", do: func(s *subject, tx *gorm.DB) (any, error) {
			return findAll(s, tx.Where("1 = 0").Or("1 = 1"))
		}},
		{name: "Or first", do: func(s *subject, tx *gorm.DB) (any, error) { return findAll(s, tx.Or("1 = 1")) }},
		{name: "Where/raw OR without spaces", do: func(s *subject, tx *gorm.DB) (any, error) {
			return findAll(s, tx.Where("1 = 0\nOR\t1 = 1"))
		}},
		{name: "Where/group with Or", do: func(s *subject, tx *gorm.DB) (any, error) {
			fresh := s.db.Scoped(s.t.Context(), s.us)
			return findAll(s, tx.Where(fresh.Where("1 = 0").Or("1 = 1")).Or(fresh.Where("1 = 1")))
		}},
		{name: "Where.Or on a session that ran before", do: func(s *subject, tx *gorm.DB) (any, error) {
			tx = tx.Where("1 = 1")
			if _, err := findAll(s, tx); err != nil {
				return nil, err
			}
			rows := s.rows()
			tx = tx.Or("2 = 2").Find(rows)
			return tenantsIn(s, rows), tx.Error
		}},
		{name: "Not", do: func(s *subject, tx *gorm.DB) (any, error) {
			return findAll(s, tx.Not("1 = 0 OR 1 = 0"))
		}},
		{name: "Where/struct with another tenant", do: func(s *subject, tx *gorm.DB) (any, error) {
			rows := s.rows()
			tx = tx.Where(map[string]any{"tenant_id": s.them.Tenant}).Find(rows)
			if err := exactly(0, tx.RowsAffected); err != nil {
				return nil, err
			}
			return tenantsIn(s, rows), tx.Error
		}},
		{name: "Count", do: func(s *subject, tx *gorm.DB) (any, error) {
			var n int64
			if err := tx.Model(s.row()).Count(&n).Error; err != nil {
				return nil, err
			}
			return nil, exactly(1, n)
		}},
		{name: "Count/Or", do: func(s *subject, tx *gorm.DB) (any, error) {
			var n int64
			if err := tx.Model(s.row()).Where("1 = 0").Or("1 = 1").Count(&n).Error; err != nil {
				return nil, err
			}
			return nil, exactly(1, n)
		}},
		{name: "Count, then Find on the same chain", do: func(s *subject, tx *gorm.DB) (any, error) {
			var n int64
			tx = tx.Model(s.row()).Where("1 = 1")
			if err := tx.Count(&n).Error; err != nil {
				return nil, err
			}
			rows := s.rows()
			err := tx.Find(rows).Error
			return tenantsIn(s, rows), err
		}},
		{name: "Pluck", do: func(s *subject, tx *gorm.DB) (any, error) {
			var ids []string
			err := tx.Model(s.row()).Pluck("tenant_id", &ids).Error
			return ids, err
		}},
		{name: "Distinct", do: func(s *subject, tx *gorm.DB) (any, error) {
			var ids []string
			err := tx.Model(s.row()).Distinct("tenant_id").Find(&ids).Error
			return ids, err
		}},
		{name: "Group.Having", do: func(s *subject, tx *gorm.DB) (any, error) {
			var ids []string
			err := tx.Model(s.row()).Select("tenant_id").Group("tenant_id").Having("count(*) > 0").Find(&ids).Error
			return ids, err
		}},
		{name: "Scan", do: func(s *subject, tx *gorm.DB) (any, error) {
			var rows []map[string]any
			err := tx.Model(s.row()).Select("tenant_id").Scan(&rows).Error
			return rows, err
		}},
		{name: "Find/map", do: func(s *subject, tx *gorm.DB) (any, error) {
			var rows []map[string]any
			err := tx.Model(s.row()).Select("tenant_id").Find(&rows).Error
			return rows, err
		}},
		{name: "Find/smaller struct", do: func(s *subject, tx *gorm.DB) (any, error) {
			var rows []struct{ TenantID string }
			err := tx.Model(s.row()).Find(&rows).Error
			return rows, err
		}},
		{name: "Row", do: func(s *subject, tx *gorm.DB) (any, error) {
			var n int64
			if err := tx.Model(s.row()).Select("count(*)").Row().Scan(&n); err != nil {
				return nil, err
			}
			return nil, exactly(1, n)
		}},
		{name: "Rows", do: func(s *subject, tx *gorm.DB) (any, error) {
			rows, err := tx.Model(s.row()).Select("tenant_id").Rows()
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			var ids []string
			for rows.Next() {
				var id string
				if err := rows.Scan(&id); err != nil {
					return nil, err
				}
				ids = append(ids, id)
			}
			return ids, rows.Err()
		}},
		{name: "FindInBatches", do: func(s *subject, tx *gorm.DB) (any, error) {
			rows, seen := s.rows(), []any{}
			err := tx.FindInBatches(rows, 1, func(*gorm.DB, int) error {
				seen = append(seen, tenantsIn(s, rows))
				return nil
			}).Error
			return seen, err
		}},
		{name: "FirstOrInit/another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			row := s.row()
			tx = tx.Where(s.key(s.theirs)).FirstOrInit(row)
			if err := exactly(0, tx.RowsAffected); err != nil {
				return nil, err
			}
			return nil, tx.Error
		}},
		{name: "subquery of the same scope", do: func(s *subject, tx *gorm.DB) (any, error) {
			sub := s.db.Scoped(s.t.Context(), s.us).Model(s.row()).Select("tenant_id")
			return findAll(s, tx.Where("tenant_id IN (?)", sub))
		}},
		{name: "a lock", do: func(s *subject, tx *gorm.DB) (any, error) {
			return findAll(s, tx.Clauses(clause.Locking{Strength: "SHARE"}))
		}},
		{name: "gorm.G with the scope's context", do: func(s *subject, tx *gorm.DB) (any, error) {
			switch s.row().(type) {
			case *project:
				rows, err := gorm.G[project](tx).Where("1 = 0").Or("1 = 1").Find(tx.Statement.Context)
				return rows, err
			default:
				return findAll(s, tx)
			}
		}},
	}
}

func findAll(s *subject, tx *gorm.DB) (any, error) {
	rows := s.rows()
	tx = tx.Find(rows)
	if tx.Error == nil {
		if err := exactly(1, tx.RowsAffected); err != nil {
			return tenantsIn(s, rows), err
		}
	}
	return tenantsIn(s, rows), tx.Error
}

// tenantsIn are those of the rows that were found. (The values of our own rows look like the others'.)
func tenantsIn(s *subject, rows any) any {
	var ids []any
	v := reflect.Indirect(reflect.ValueOf(rows))
	for i := range v.Len() {
		id, _ := s.model.tenant.ValueOf(context.Background(), v.Index(i))
		ids = append(ids, id)
	}
	return ids
}

func notTheirs(s *subject, row any, err error) error {
	if err != nil {
		return err
	}
	if id, _ := s.model.tenant.ValueOf(context.Background(), reflect.ValueOf(row).Elem()); id != any(s.us.Tenant) {
		return fmt.Errorf("the row is %v's", id)
	}
	return nil
}
