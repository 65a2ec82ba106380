package postgres

import (
	"context"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func affected(n int64, tx *gorm.DB) (any, error) {
	if tx.Error != nil {
		return nil, tx.Error
	}
	return nil, exactly(n, tx.RowsAffected)
}

// copyOf is a row with the key of one and the tenant of another, or none.
func copyOf(s *subject, row reflect.Value, tenant tenancy.ID) any {
	c := s.of(row)
	_ = s.model.tenant.Set(context.Background(), reflect.ValueOf(c).Elem(), tenant)
	return c
}

func writeOperations() []operation {
	return []operation{
		{name: "Update/all by a true condition", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, tx.Model(s.row()).Where("1 = 1").Update(s.column.DBName, s.value()))
		}},
		{name: "Update/Or", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, tx.Model(s.row()).Where("1 = 0").Or("1 = 1").Update(s.column.DBName, s.value()))
		}},
		{name: "Update/another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(0, tx.Model(s.row()).Where(s.key(s.theirs)).Update(s.column.DBName, s.value()))
		}},
		{name: "Update/model with another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(0, tx.Model(copyOf(s, s.theirs, tenancy.ID{})).Update(s.column.DBName, s.value()))
		}},
		{name: "Updates/map", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, tx.Model(s.row()).Where("1 = 1").Updates(map[string]any{s.column.DBName: s.value()}))
		}},
		{name: "UpdateColumn", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, tx.Model(s.row()).Where("1 = 1").UpdateColumn(s.column.DBName, s.value()))
		}},
		{name: "UpdateColumns/another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(0, tx.Model(s.row()).Where(s.key(s.theirs)).UpdateColumns(map[string]any{s.column.DBName: s.value()}))
		}},
		{name: "Updates/struct of ours keeps the tenant", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, tx.Select("*").Updates(s.of(s.ours)))
		}},
		{name: "Updates/struct without a tenant keeps the tenant", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, tx.Select("*").Updates(copyOf(s, s.ours, tenancy.ID{})))
		}},
		{name: "Update/to our own tenant", do: func(s *subject, tx *gorm.DB) (any, error) {
			tx = tx.Model(s.row()).Where("1 = 1").Updates(map[string]any{"tenant_id": s.us.Tenant, s.column.DBName: s.value()})
			return affected(1, tx)
		}},
		{name: "Update/returning", do: func(s *subject, tx *gorm.DB) (any, error) {
			rows := s.rows()
			tx = tx.Model(rows).Clauses(clause.Returning{}).Where("1 = 1").Update(s.column.DBName, s.value())
			if _, err := affected(1, tx); err != nil {
				return nil, err
			}
			return tenantsIn(s, rows), nil
		}},
		{name: "Save/ours", do: func(s *subject, tx *gorm.DB) (any, error) { return affected(1, tx.Save(s.of(s.ours))) }},
		{name: "Delete/another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(0, tx.Where(s.key(s.theirs)).Delete(s.row()))
		}},
		{name: "Delete/struct with another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(0, tx.Delete(copyOf(s, s.theirs, tenancy.ID{})))
		}},
		{name: "Delete/Or", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, tx.Where("1 = 0").Or("1 = 1").Delete(s.row()))
		}},
		{name: "Delete/ours", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, tx.Delete(copyOf(s, s.ours, tenancy.ID{})))
		}},
		{name: "Delete for good/Or", do: func(s *subject, tx *gorm.DB) (any, error) {
			return affected(1, forGood(tx).Where("1 = 0").Or("1 = 1").Delete(s.row()))
		}},
		{name: "Create/without a tenant becomes ours", do: func(s *subject, tx *gorm.DB) (any, error) {
			row := another(s, tenancy.ID{})
			if _, err := affected(1, tx.Create(row)); err != nil {
				return nil, err
			}
			return nil, notTheirs(s, row, nil)
		}},
		{name: "Create/DoNothing on another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			row := copyOf(s, s.theirs, tenancy.ID{})
			return nil, tx.Clauses(clause.OnConflict{DoNothing: true}).Create(row).Error
		}},
		{name: "Create/OnConflict UpdateAll on another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			row := copyOf(s, s.theirs, tenancy.ID{})
			return nil, tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(row).Error
		}},
		{name: "Create/OnConflict DoUpdates on our key", do: func(s *subject, tx *gorm.DB) (any, error) {
			columns := []clause.Column{}
			for _, f := range s.model.schema.PrimaryFields {
				columns = append(columns, clause.Column{Name: f.DBName})
			}
			return affected(1, tx.Clauses(clause.OnConflict{
				Columns: columns, DoUpdates: clause.AssignmentColumns([]string{s.column.DBName, "tenant_id"}),
				Where: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = 0"}, clause.Or(clause.Expr{SQL: "1 = 1"})}},
			}).Create(copyOf(s, s.ours, tenancy.ID{})))
		}},
		{name: "Save/slice with another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			rows := s.rows()
			v := reflect.ValueOf(rows).Elem()
			v.Set(reflect.Append(v, reflect.ValueOf(copyOf(s, s.theirs, tenancy.ID{})).Elem()))
			return nil, tx.Save(rows).Error
		}},
		{name: "FirstOrCreate/another tenant's key", do: func(s *subject, tx *gorm.DB) (any, error) {
			row := copyOf(s, s.theirs, tenancy.ID{})
			return affected(1, tx.Where(s.key(s.theirs)).FirstOrCreate(row))
		}},
		{name: "CreateInBatches", do: func(s *subject, tx *gorm.DB) (any, error) {
			rows := s.rows()
			v := reflect.ValueOf(rows).Elem()
			for range 3 {
				v.Set(reflect.Append(v, reflect.ValueOf(another(s, tenancy.ID{})).Elem()))
			}
			if _, err := affected(3, tx.CreateInBatches(rows, 2)); err != nil {
				return nil, err
			}
			return tenantsIn(s, rows), nil
		}},
	}
}

// another is a row like ours with a key of its own.
func another(s *subject, tenant tenancy.ID) any {
	row := copyOf(s, s.ours, tenant)
	for _, name := range s.model.schema.DBNames {
		f := s.model.schema.FieldsByDBName[name]
		if f == s.model.tenant || f == s.model.deleted || fixtures()[s.model.schema.Table+"."+name] != nil {
			continue
		}
		if v := madeUp(f, s.us.Tenant); v != nil && (f.PrimaryKey || f.FieldType.Kind() == reflect.String || f.FieldType.Kind() == reflect.Pointer) {
			_ = f.Set(context.Background(), reflect.ValueOf(row).Elem(), nil) // a pointer is shared with our row
			_ = f.Set(context.Background(), reflect.ValueOf(row).Elem(), v)
		}
	}
	return row
}
