package postgres_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	stack := ticketStack(t)
	for name, change := range map[string]struct{ sql, problem string }{
		"a missing column":            {`ALTER TABLE tickets DROP closed_at`, "field closed_at has no column in tickets; add it by a migration or take the field out"},
		"a column of another name":    {`ALTER TABLE tickets RENAME title TO subject`, "field title has no column in tickets"},
		"a column of another type":    {`ALTER TABLE tickets ALTER price_cents TYPE integer`, "field price_cents holds integer, and its column is integer; it must be bigint"},
		"a time without its zone":     {`ALTER TABLE tickets ALTER closed_at TYPE timestamp`, "field closed_at holds time, and its column is timestamp without time zone; it must be timestamp with time zone"},
		"a pointer that is NOT NULL":  {`ALTER TABLE tickets ALTER rating SET NOT NULL`, "field rating is a pointer, and its column is NOT NULL; make them agree"},
		"a value that may be NULL":    {`ALTER TABLE tickets ALTER title DROP NOT NULL`, "field title is no pointer, and its column may be NULL; make them agree"},
		"a missing index to filter":   {`DROP INDEX tickets_price_cents_idx`, "field price_cents is filtered by and no index of tickets begins with (tenant_id, price_cents); add one, or mark the field scan"},
		"a missing index to sort":     {`DROP INDEX tickets_due_at_idx`, "field due_at is sorted by and no index of tickets begins with (tenant_id, greatest(due_at, '-infinity'::timestamptz), id)"},
		"a missing index to find":     {`DROP INDEX tickets_due_at_idx`, "field due_at is filtered by and no index of tickets begins with (tenant_id, greatest(due_at, '-infinity'::timestamptz))"},
		"an index for nobody":         {`DROP INDEX tickets_due_at_idx; CREATE INDEX ON tickets (tenant_id, coalesce(due_at, '-infinity'), id)`, "field due_at is sorted by and no index"},
		"an index without the id":     {`DROP INDEX tickets_created_at_idx; CREATE INDEX ON tickets (tenant_id, created_at)`, "field created_at is sorted by and no index of tickets begins with (tenant_id, created_at, id)"},
		"an index without the tenant": {`DROP INDEX tickets_updated_at_idx; CREATE INDEX ON tickets (updated_at, id)`, "field updated_at is filtered by and no index of tickets begins with (tenant_id, updated_at)"},
		"a unique field that is not":  {`DROP INDEX tickets_code_key`, "field code is unique and there is no unique index tickets_code_key on (tenant_id, code) WHERE deleted_at IS NULL"},
		"a unique index with trash":   {`DROP INDEX tickets_code_key; CREATE UNIQUE INDEX tickets_code_key ON tickets (tenant_id, code)`, "field code is unique and there is no unique index tickets_code_key"},
		"a unique index for everyone": {`DROP INDEX tickets_code_key; CREATE UNIQUE INDEX tickets_code_key ON tickets (code) WHERE deleted_at IS NULL`, "field code is unique and there is no unique index tickets_code_key"},
		"a missing table":             {`DROP TABLE tickets`, "there is no table tickets; make migration RESOURCE=tickets writes its migration"},
		"an unprotected table":        {`ALTER TABLE tickets DISABLE ROW LEVEL SECURITY`, "the table tickets does not force row level security; call protect_tenant_table in its migration"},
		"a field not searched":        {`SELECT make_searchable('tickets', ARRAY['code'], ARRAY['tags'])`, "the table tickets is not made to be searched as its fields say; SELECT make_searchable('tickets', ARRAY['code', 'title'], ARRAY['tags']) in a migration"},
		"another order of weights":    {`SELECT make_searchable('tickets', ARRAY['title', 'code'], ARRAY['tags'])`, "the table tickets is not made to be searched as its fields say"},
		"a list that is not found by": {`SELECT make_searchable('tickets', ARRAY['code', 'title'], ARRAY['custom'])`, "the table tickets is not made to be searched as its fields say"},
		"no index of terms":           {`DROP INDEX tickets_search_terms_idx`, "the table tickets is not made to be searched as its fields say"},
		"no find function":            {`DROP FUNCTION find_tickets`, "the table tickets is not made to be searched as its fields say"},
		"a find function of others":   {`REVOKE EXECUTE ON FUNCTION find_tickets FROM groundwork_app`, "the table tickets is not made to be searched as its fields say"},
		"an owner without rules":      {`ALTER TABLE tickets NO FORCE ROW LEVEL SECURITY`, "the table tickets does not force row level security"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stack := ticketStack(t)
			require.NoError(t, stack.DB.Verify(t.Context(), []*resource.Definition{ticketDefinition()}))
			_, err := stack.Admin(t).PgConn().Exec(t.Context(), change.sql).ReadAll()
			require.NoError(t, err)
			err = stack.DB.Verify(t.Context(), []*resource.Definition{ticketDefinition()})
			require.ErrorContains(t, err, "resource ticket: ")
			assert.ErrorContains(t, err, change.problem)
		})
	}

	t.Run("a reference", func(t *testing.T) {
		t.Parallel()
		stack := storetest.New(t)
		const dropped = `ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey;`
		want := "field customer_id refers to customers and there is no CONSTRAINT orders_customer_id_fkey " +
			"FOREIGN KEY (tenant_id, customer_id) REFERENCES customers(tenant_id, id)"
		for _, change := range []struct{ sql, problem string }{
			{dropped, want},
			{`ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (tenant_id, customer_id) REFERENCES customers`, want},
			{`ALTER TABLE orders ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers ON DELETE CASCADE`, want},
			{dropped + `ALTER TABLE orders ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES orders`, want},
			{dropped + `ALTER TABLE orders ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers NOT VALID`, ""},
			{`DROP INDEX orders_customer_id_idx`, "field customer_id is filtered by and no index of orders begins with (tenant_id, customer_id)"},
		} {
			_, err := stack.Admin(t).PgConn().Exec(t.Context(), change.sql).ReadAll()
			require.NoError(t, err)
			err = stack.DB.Verify(t.Context(), catalog.All())
			if change.problem == "" {
				require.NoError(t, err, change.sql)
				continue
			}
			require.ErrorContains(t, err, change.problem, change.sql)
		}
	})
	t.Run("every mismatch at once", func(t *testing.T) {
		t.Parallel()
		type purchase struct {
			resource.Base

			Number string `json:"number" api:"filter"`
		}
		type ticketBySubject struct {
			resource.Base

			Subject string `json:"title" api:"filter,sort"`
			Missing string `json:"missing" api:"plain"`
		}
		err := stack.DB.Verify(t.Context(), []*resource.Definition{
			resource.Define[purchase](resource.Options{Name: "purchase", Plural: "purchases"}),
			resource.Define[ticketBySubject](resource.Options{Name: "issue", Plural: "tickets"}),
		})
		require.Error(t, err)
		assert.Equal(t, []string{
			"resource purchase: there is no table purchases; make migration RESOURCE=purchases writes its migration",
			"resource issue: faults of its constraints would speak of a ticket; choose a plural whose singular is issue",
			"resource issue: the struct's table is ticket_by_subjects and not tickets; give it a method TableName",
			`resource issue: the field title is kept in a column of another name; rename the Go field, or tag it gorm:"column:title"`,
			"resource issue: the field missing has no column in tickets; add it by a migration or take the field out",
		}, strings.Split(err.Error(), "\n"))
	})
	t.Run("the catalog fits the migrations", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, storetest.New(t).DB.Verify(t.Context(), catalog.All()))
	})
}
