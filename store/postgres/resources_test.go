package postgres_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/events"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/resource/resourcetest"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/databasetest"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// subjects are the records with which each resource of the catalog is put to the test.
func subjects() map[string]resourcetest.Subject {
	return map[string]resourcetest.Subject{
		"order": orderSubject(),
		"customer": {
			Make: func(n int) resource.Entity {
				c := &customers.Customer{
					Name: fmt.Sprintf("Customer %d", n%9), Tags: tags(n),
					Custom: map[string]any{"color": color(n), "level": json.Number(fmt.Sprint(n % 4)), "vip": n%2 == 0},
				}
				if n%3 != 0 {
					c.Code = new(fmt.Sprintf(`C-%d, \"%d"`, n, n))
				}
				if n%4 != 0 {
					c.Email = new(fmt.Sprintf("person%d@example.com", n))
				}
				return c
			},
			Change: func(e resource.Entity, n int) {
				c, _ := e.(*customers.Customer)
				c.Name, c.Email, c.Tags = fmt.Sprintf("Changed %d", n), new(fmt.Sprintf("changed%d@example.com", n)), tags(n+1)
				c.Custom["changed"] = map[string]any{"at": json.Number("1.50"), "by": []any{"somebody", nil}}
			},
			Invalid: func() map[string]resource.Entity {
				return map[string]resource.Entity{
					"/name":   &customers.Customer{Name: " "},
					"/email":  &customers.Customer{Name: "n", Email: new("nobody")},
					"/tags/1": &customers.Customer{Name: "n", Tags: []string{"a", ""}},
				}
			},
		},
	}
}

func tags(n int) []string {
	switch n % 3 {
	case 0:
		return nil
	case 1:
		return []string{"new"}
	default:
		return []string{"new", fmt.Sprintf(`a "quoted", {b\%d}`, n%2), "NULL"}
	}
}

func color(n int) string { return []string{"red", "3", "true", "a, b", "grün"}[n%5] }

func TestResources(t *testing.T) {
	t.Parallel()
	stack := storetest.New(t)
	known := subjects()
	for _, d := range catalog.All() {
		t.Run(d.Plural, func(t *testing.T) {
			t.Parallel()
			s, ok := known[d.Name]
			require.True(t, ok, "the resource %s has no test: add records of it to subjects() in %s", d.Name, "store/postgres/resources_test.go")
			s.Definition = d
			resourcetest.Run(t, over(t, stack, s))
		})
	}
}

// over gives a subject the stores over a database.
func over(t *testing.T, stack *storetest.Stack, s resourcetest.Subject) resourcetest.Subject {
	t.Helper()
	require.NoError(t, stack.DB.Register(s.Definition.New()))
	for _, f := range s.Definition.References() {
		require.NoError(t, stack.DB.Register(f.References.New()))
	}
	require.NoError(t, stack.DB.Verify(t.Context(), []*resource.Definition{s.Definition}))
	router := postgres.Shared{DB: stack.DB}
	s.Dependencies = resource.Dependencies{
		Store: postgres.NewResources(router), History: postgres.NewAudit(router), Validator: validate.New(),
	}
	s.Tenant = stack.Tenant
	s.Events = func(tb testing.TB, scope tenancy.Scope) []events.Event {
		tb.Helper()
		return eventsOf(tb, stack.Database, scope.Tenant)
	}
	return s
}

// eventsOf reads a tenant's events, oldest first.
func eventsOf(tb testing.TB, database *databasetest.Database, tenant tenancy.ID) []events.Event {
	tb.Helper()
	rows, err := database.Admin(tb).Query(tb.Context(), `
		SELECT id, at, type, resource, resource_id, version, data FROM events WHERE tenant_id = $1 ORDER BY id`, tenant.String())
	require.NoError(tb, err)
	defer rows.Close()
	list := []events.Event{}
	for rows.Next() {
		var e events.Event
		require.NoError(tb, rows.Scan(&e.ID, &e.At, &e.Type, &e.Resource, &e.ResourceID, &e.Version, &e.Data))
		list = append(list, e)
	}
	require.NoError(tb, rows.Err())
	return list
}
