package postgres_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// clause has columns whose names are words of SQL, a reference that may be null, and every kind of index.
type clause struct {
	resource.Base

	Order      string         `json:"order"       api:"filter,sort,unique,search"`
	Interval   *string        `json:"interval"    api:"filter"`
	Limit      int64          `json:"end"         api:"sort" gorm:"column:end"`
	User       []string       `json:"user"        api:"filter,search" gorm:"serializer:text_list"`
	Table      map[string]any `json:"table"       api:"filter" gorm:"serializer:json"`
	IsDefault  bool           `json:"is_default"  api:"filter,scan"`
	CustomerID *tenancy.ID    `json:"customer_id" api:"plain"`
}

// What Migration writes is what Verify wants, and is taken back without a trace.
func TestMigration(t *testing.T) {
	t.Parallel()
	definitions := append(catalog.All(), ticketDefinition(), resource.Define[clause](resource.Options{
		Name: "clause", Plural: "clauses", References: map[string]*resource.Definition{"customer_id": customers.Definition()},
	}))
	stack := storetest.New(t)
	run := func(sql string) {
		t.Helper()
		_, err := stack.Admin(t).PgConn().Exec(t.Context(), "SET ROLE groundwork_owner;"+sql).ReadAll()
		require.NoError(t, err, sql)
	}
	for _, d := range []string{"orders", "customers"} {
		run("DROP TABLE " + d + "; DROP FUNCTION find_" + d)
	}
	var downs []string
	for _, d := range definitions {
		up, down, ok := strings.Cut(postgres.Migration(d), "-- +goose Down")
		require.True(t, ok)
		run(up)
		downs = append(downs, down)
	}
	require.NoError(t, stack.DB.Verify(t.Context(), definitions))
	for i := range downs {
		run(downs[len(downs)-1-i])
	}
	for _, d := range definitions {
		require.ErrorContains(t, stack.DB.Verify(t.Context(), []*resource.Definition{d}), "there is no table "+d.Plural)
	}
	var left int
	require.NoError(t, stack.Admin(t).QueryRow(t.Context(), `SELECT count(*) FROM pg_proc WHERE proname LIKE 'find%'
		AND pronamespace = 'public'::regnamespace`).Scan(&left))
	assert.Zero(t, left, "functions that were not taken back")
}
