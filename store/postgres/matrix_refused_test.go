package postgres

import (
	"context"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// refusedOperations are those that clauses cannot limit, or that would lose a guard.
func refusedOperations() []operation {
	refuse := func(name string, do func(s *subject, tx *gorm.DB) (any, error)) operation {
		return operation{name: name, refused: true, do: do}
	}
	run := func(name string, do func(s *subject, tx *gorm.DB) *gorm.DB) operation {
		return refuse(name, func(s *subject, tx *gorm.DB) (any, error) { return nil, do(s, tx).Error })
	}
	find := func(name string, change func(s *subject, tx *gorm.DB) *gorm.DB) operation {
		return refuse(name, func(s *subject, tx *gorm.DB) (any, error) {
			rows := s.rows()
			err := change(s, tx).Find(rows).Error
			return tenantsIn(s, rows), err
		})
	}
	table := func(s *subject) string { return s.model.schema.Table }
	plain := func(s *subject) *gorm.DB { return s.db.gorm.WithContext(s.t.Context()) }
	return []operation{
		// Raw SQL and tables without a model.
		refuse("Raw", func(s *subject, tx *gorm.DB) (any, error) {
			var ids []string
			err := tx.Raw("select tenant_id from " + table(s)).Scan(&ids).Error
			return ids, err
		}),
		refuse("Raw/Rows", func(s *subject, tx *gorm.DB) (any, error) {
			rows, err := tx.Raw("select tenant_id from " + table(s)).Rows()
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			return nil, rows.Err()
		}),
		find("Raw/Find", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Raw("select * from " + table(s)) }),
		run("Exec", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Exec("update "+table(s)+" set tenant_id = ?", s.us.Tenant)
		}),
		refuse("Table", func(s *subject, tx *gorm.DB) (any, error) {
			var rows []map[string]any
			err := tx.Table(table(s)).Find(&rows).Error
			return rows, err
		}),
		run("Table/Update", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Table(table(s)).Where("1 = 1").Update(s.column.DBName, s.value())
		}),
		find("Table/with an alias", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Table(table(s) + " AS x, " + table(s)) }),
		find("Table/subquery", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Table("(?) AS x", plain(s).Model(s.row()))
		}),
		refuse("an unregistered model", func(s *subject, tx *gorm.DB) (any, error) {
			type tenant struct{ ID string }
			var rows []tenant
			err := tx.Find(&rows).Error
			return rows, err
		}),
		// Joins, subqueries and other tables by hand.
		find("Joins/raw", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Joins("JOIN " + table(s) + " x ON true") }),
		find("Clauses/From", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Clauses(clause.From{Joins: []clause.Join{{Table: clause.Table{Name: table(s), Alias: "x"}}}})
		}),
		run("Clauses/Update of another table", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Clauses(clause.Update{Table: clause.Table{Name: "customers"}}).Model(s.row()).Where("1 = 1").
				Update(s.column.DBName, s.value())
		}),
		find("Where/raw subquery", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Where("EXISTS (SELECT 1 FROM " + table(s) + ")")
		}),
		find("Where/TABLE", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Where("EXISTS (TABLE " + table(s) + ")") }),
		find("Where/subquery of no scope", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Where("tenant_id IN (?)", plain(s).Model(s.row()).Select("tenant_id"))
		}),
		find("Where/subquery of another scope", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Where("1 IN (?)", s.db.Scoped(s.t.Context(), s.them).Model(s.row()).Select("1"))
		}),
		find("Where/raw subquery of gorm", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Where("1 IN (?)", s.db.Scoped(s.t.Context(), s.us).Raw("select 1 from "+table(s)))
		}),
		find("Where/subquery on a table", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Where("1 IN (?)", s.db.Scoped(s.t.Context(), s.us).Table(table(s)).Select("1"))
		}),
		find("Where/subquery of gorm.G", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Where("1 IN (?)", gorm.G[project](s.db.Scoped(s.t.Context(), s.us)).Select("1"))
		}),
		find("Not/subquery of no scope", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Not("tenant_id IN (?)", plain(s).Model(s.row()).Select("tenant_id"))
		}),
		find("Or/nested subquery of no scope", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Where("1 = 0").Or(map[string]any{"tenant_id": []any{plain(s).Model(s.row()).Select("tenant_id")}})
		}),
		find("Where/named subquery", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Where("1 IN (@sub)", map[string]any{"sub": plain(s).Model(s.row()).Select("1")})
		}),
		refuse("Select/raw subquery", func(s *subject, tx *gorm.DB) (any, error) {
			var n []int64
			err := tx.Model(s.row()).Select("(select count(*) from " + table(s) + ")").Find(&n).Error
			return nil, err
		}),
		refuse("Select/subquery with values", func(s *subject, tx *gorm.DB) (any, error) {
			var n []int64
			err := tx.Model(s.row()).Select("(select count(*) from "+table(s)+" where 1 = ?)", 1).Find(&n).Error
			return nil, err
		}),
		find("Order/raw subquery", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Order("(select count(*) from " + table(s) + ")")
		}),
		find("Having/raw subquery", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Select("tenant_id").Group("tenant_id").Having("exists (select 1 from " + table(s) + ")")
		}),
		run("Update/value by a raw subquery", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Where("1 = 1").Clauses(clause.Set{{
				Column: clause.Column{Name: s.column.DBName}, Value: gorm.Expr("(select max(" + s.column.DBName + ") from " + table(s) + ")"),
			}}).Updates(map[string]any{s.column.DBName: s.value()})
		}),
		run("Update/map value by a raw subquery", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Where("1 = 1").Updates(map[string]any{
				s.column.DBName: gorm.Expr("(select max(" + s.column.DBName + ") from " + table(s) + ")"),
			})
		}),
		run("Update/map value by a subquery of no scope", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Where("1 = 1").Update(s.column.DBName, plain(s).Model(s.row()).Select("max("+s.column.DBName+")"))
		}),
		// No tenant, or a context that lost it.
		refuse("no tenant", func(s *subject, _ *gorm.DB) (any, error) {
			rows := s.rows()
			err := plain(s).Find(rows).Error
			return tenantsIn(s, rows), err
		}),
		refuse("an empty tenant", func(s *subject, _ *gorm.DB) (any, error) {
			rows := s.rows()
			err := s.db.Scoped(s.t.Context(), tenancy.Scope{Actor: tenancy.Actor{Kind: tenancy.System}}).Find(rows).Error
			return tenantsIn(s, rows), err
		}),
		refuse("the control plane without a tenant", func(s *subject, _ *gorm.DB) (any, error) {
			rows := s.rows()
			err := s.db.control(s.t.Context()).Find(rows).Error
			return tenantsIn(s, rows), err
		}),
		find("a context without the tenant", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.WithContext(s.t.Context()) }),
		refuse("gorm.G without the scope's context", func(s *subject, tx *gorm.DB) (any, error) {
			return gorm.G[project](tx).Find(s.t.Context())
		}),
		run("Create/no tenant", func(s *subject, _ *gorm.DB) *gorm.DB { return plain(s).Create(another(s, s.them.Tenant)) }),
		// Unscoped.
		find("Unscoped", func(_ *subject, tx *gorm.DB) *gorm.DB { return tx.Unscoped() }),
		run("Unscoped/Delete", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Unscoped().Where("1 = 1").Delete(s.row()) }),
		run("Unscoped/Create", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Unscoped().Create(another(s, s.them.Tenant)) }),
		// Rows that would change hands.
		run("Create/another tenant's", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Create(another(s, s.them.Tenant)) }),
		run("Create/map with another tenant", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Create(map[string]any{"tenant_id": s.them.Tenant})
		}),
		run("Create/map with another tenant by the field's name", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Create([]map[string]any{{"TenantID": s.them.Tenant.String()}})
		}),
		run("CreateInBatches/another tenant's among ours", func(s *subject, tx *gorm.DB) *gorm.DB {
			rows := s.rows()
			v := reflect.ValueOf(rows).Elem()
			for _, tenant := range []tenancy.ID{s.us.Tenant, s.them.Tenant} {
				v.Set(reflect.Append(v, reflect.ValueOf(another(s, tenant)).Elem()))
			}
			return tx.CreateInBatches(rows, 10)
		}),
		run("Save/another tenant's", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Save(s.of(s.theirs)) }),
		run("Save/another tenant's key as ours", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Save(copyOf(s, s.theirs, s.us.Tenant))
		}),
		run("Save/another tenant's key without a tenant", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Save(copyOf(s, s.theirs, tenancy.ID{}))
		}),
		run("Update/tenant_id by map", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Where("1 = 1").Updates(map[string]any{"tenant_id": s.them.Tenant})
		}),
		run("Update/tenant_id by the field's name", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Where("1 = 1").Update("TenantID", s.them.Tenant)
		}),
		run("Update/tenant_id qualified and in capitals", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Where("1 = 1").Update("TENANT_ID", s.them.Tenant)
		}),
		run("Update/tenant_id to an expression", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Where("1 = 1").Update("tenant_id", gorm.Expr("gen_random_uuid()"))
		}),
		run("UpdateColumn/tenant_id", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.of(s.ours)).UpdateColumn("tenant_id", s.them.Tenant)
		}),
		run("Updates/struct with another tenant", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.of(s.ours)).Select("*").Updates(copyOf(s, s.ours, s.them.Tenant))
		}),
		run("Clauses/Set of tenant_id", func(s *subject, tx *gorm.DB) *gorm.DB {
			set := clause.Set{{Column: clause.Column{Name: "tenant_id"}, Value: s.them.Tenant}}
			return tx.Model(s.row()).Where("1 = 1").Clauses(set).Updates(map[string]any{s.column.DBName: s.value()})
		}),
		// Whole tables.
		run("Update/without a condition", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Update(s.column.DBName, s.value())
		}),
		run("Update/only the tenant as a condition", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Model(s.row()).Where("tenant_id = ?", s.us.Tenant).Where(map[string]any{}).
				Where(clause.Eq{Column: "tenant_id", Value: s.us.Tenant}).Where(s.row()).Where("").
				Session(&gorm.Session{}).Scopes(dropRawConditions).Update(s.column.DBName, s.value())
		}),
		run("Update/AllowGlobalUpdate", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Session(&gorm.Session{AllowGlobalUpdate: true}).Model(s.row()).Update(s.column.DBName, s.value())
		}),
		run("Update/rows without keys", func(s *subject, tx *gorm.DB) *gorm.DB {
			rows := s.rows()
			v := reflect.ValueOf(rows).Elem()
			v.Set(reflect.Append(v, reflect.ValueOf(s.of(s.ours)).Elem(), reflect.Zero(v.Type().Elem())))
			return tx.Model(rows).Update(s.column.DBName, s.value())
		}),
		run("Delete/without a condition", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Delete(s.row()) }),
		run("Delete/AllowGlobalUpdate", func(s *subject, tx *gorm.DB) *gorm.DB {
			return tx.Session(&gorm.Session{AllowGlobalUpdate: true}).Delete(s.row())
		}),
		run("Delete/no rows", func(s *subject, tx *gorm.DB) *gorm.DB { return tx.Delete(s.rows()) }),
		run("Delete for good/without a condition", func(s *subject, tx *gorm.DB) *gorm.DB { return forGood(tx).Delete(s.row()) }),
		// Another tenant's transaction.
		refuse("another tenant's transaction", func(s *subject, _ *gorm.DB) (any, error) {
			err := s.db.InTx(s.t.Context(), tenancy.AsSystem(s.them.Tenant, ""), func(ctx context.Context) error {
				return s.db.InTx(ctx, s.us, func(context.Context) error { return nil })
			})
			if err != nil {
				err = s.db.InTx(s.t.Context(), tenancy.AsSystem(s.them.Tenant, ""), func(ctx context.Context) error {
					return s.db.Scoped(ctx, s.us).Find(s.rows()).Error
				})
			}
			return nil, err
		}),
		refuse("the control plane inside a tenant's transaction", func(s *subject, _ *gorm.DB) (any, error) {
			return nil, s.db.InTx(s.t.Context(), s.us, func(ctx context.Context) error {
				return s.db.controlTx(ctx, nil, func(context.Context) error { return nil })
			})
		}),
	}
}

// dropRawConditions takes the first condition, which is raw, off again.
func dropRawConditions(tx *gorm.DB) *gorm.DB {
	where, _ := tx.Statement.Clauses["WHERE"].Expression.(clause.Where)
	var kept []clause.Expression
	for _, e := range where.Exprs {
		if _, isRaw := e.(clause.Expr); !isRaw {
			kept = append(kept, e)
		}
	}
	tx.Statement.Clauses["WHERE"] = clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: kept}}
	return tx
}
