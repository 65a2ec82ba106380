package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// made is how one record of each collection comes to be, so that the walk below has an id of another tenant for every
// route that takes one.
var made = map[string]func(t *testing.T, o owner) string{
	"/customers": func(t *testing.T, o owner) string {
		t.Helper()
		return o.must(t, http.StatusCreated, http.MethodPost, "/customers", `{"name":"Secret Customer"}`).text("id")
	},
	"/orders": func(t *testing.T, o owner) string {
		t.Helper()
		return o.order(t, `{"sku":"SECRET","quantity":1,"unit_price_cents":1}`).text("id")
	},
	"/api-keys": func(t *testing.T, o owner) string {
		t.Helper()
		return o.must(t, http.StatusCreated, http.MethodPost, "/api-keys", `{"name":"Secret Key","scopes":["customers:read"]}`).text("id")
	},
	"/members": func(t *testing.T, o owner) string {
		t.Helper()
		return o.user
	},
	"/invitations": func(t *testing.T, o owner) string {
		t.Helper()
		return o.must(t, http.StatusCreated, http.MethodPost, "/invitations",
			`{"email":"secret`+o.tenant+`@example.com","role":"member"}`).text("id")
	},
	"/jobs": func(t *testing.T, o owner) string {
		t.Helper()
		return o.enqueue(t, chore{Name: "secret"}).String()
	},
	"/webhook-sources": func(t *testing.T, o owner) string {
		t.Helper()
		return o.source(t).text("id")
	},
	"/inbound-events": func(t *testing.T, o owner) string {
		t.Helper()
		return o.inboundEvent(t)
	},
	"/files": func(t *testing.T, o owner) string {
		t.Helper()
		return o.upload(t, "secret.txt", "a secret").text("id")
	},
	"/imports": func(t *testing.T, o owner) string {
		t.Helper()
		return o.importing(t)
	},
	"/webhook-endpoints": func(t *testing.T, o owner) string {
		t.Helper()
		return o.must(t, http.StatusCreated, http.MethodPost, "/webhook-endpoints",
			`{"url":"http://127.0.0.1:9/secret","events":["customer.*"]}`).text("id")
	},
	"/reports": func(t *testing.T, o owner) string {
		t.Helper()
		o.placed(t, aDay+"T12:00:00Z", 1)
		return o.reportOf(t, aDay).ReportID.String()
	},
	"/report-schedules": func(t *testing.T, o owner) string {
		t.Helper()
		return o.must(t, http.StatusCreated, http.MethodPost, "/report-schedules", `{"kind":"daily_sales"}`).text("id")
	},
	"/connectors": func(t *testing.T, o owner) string {
		t.Helper()
		return o.connector(t, nil).text("id")
	},
	"/webhook-deliveries": func(t *testing.T, o owner) string {
		t.Helper()
		endpoint := o.must(t, http.StatusCreated, http.MethodPost, "/webhook-endpoints",
			`{"url":"http://127.0.0.1:9/secret","events":["order.*"]}`).text("id")
		return o.must(t, http.StatusAccepted, http.MethodPost, "/webhook-endpoints/"+endpoint+"/test", nil).text("id")
	},
	"/me/sessions": func(t *testing.T, o owner) string {
		t.Helper()
		return o.must(t, http.StatusOK, http.MethodGet, "/me/sessions", nil).text("data", 0, "id")
	},
}

// bodies are those that a route needs to get as far as looking for its record, where {} is not enough.
var bodies = map[string]string{
	"PATCH /members/:id":                 `{"role":"viewer"}`,
	"POST /webhook-endpoints/:id/replay": `{"from":"` + time.Now().UTC().Add(-time.Hour).Format(time.RFC3339) + `"}`,
}

// exampleOf makes a record of a resource that is not in made: its definition's example, with records of the victim's in
// the places of those that it refers to.
func exampleOf(t *testing.T, collection string) func(t *testing.T, o owner) string {
	t.Helper()
	all := catalog.All()
	at := slices.IndexFunc(all, func(d *resource.Definition) bool { return "/"+d.Plural == collection })
	require.GreaterOrEqual(t, at, 0, "%s is new: say in made how one of its records comes to be", collection)
	d := all[at]
	require.NotNil(t, d.Example, "%s is new: give the definition of %s an Example, or say in made how one comes to be", collection, d.Name)
	return func(t *testing.T, o owner) string {
		t.Helper()
		body := map[string]any{}
		for i := range d.Fields {
			f := &d.Fields[i]
			value := f.Value(d.Example)
			if f.ReadOnly || f.Backfill || value == nil {
				continue
			}
			if f.References != nil {
				makes, ok := made["/"+f.References.Plural]
				if !ok {
					makes = exampleOf(t, "/"+f.References.Plural)
				}
				value = makes(t, o)
			}
			body[f.Name] = value
		}
		return o.must(t, http.StatusCreated, http.MethodPost, collection, body).text("id")
	}
}

// collectionOf is the part of a route's path before its first parameter.
func collectionOf(r httpapi.Route) (string, bool) {
	collection, _, takesID := strings.Cut(r.Path, "/:")
	return collection, takesID
}

// TestIsolation walks every route of the API with another tenant's ids. A route is walked because it is in the table,
// not because somebody thought of it here.
func TestIsolation(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	victim, stranger := s.signUp(t), s.signUp(t)
	key := stranger.key(t, "*")
	ids := map[string]string{}
	for _, route := range s.api.Routes() {
		collection, takesID := collectionOf(route)
		if takesID && ids[collection] == "" {
			makes, ok := made[collection]
			if !ok {
				makes = exampleOf(t, collection)
			}
			ids[collection] = makes(t, victim)
			require.NotEmpty(t, ids[collection], "%s", collection)
		}
	}
	before := lists(t, s, victim)

	walked := 0
	for _, route := range s.api.Routes() {
		collection, takesID := collectionOf(route)
		if !takesID {
			continue
		}
		walked++
		var body any
		if route.Method == http.MethodPost || route.Method == http.MethodPatch {
			body = "{}"
			if given, ok := bodies[route.Method+" "+route.Path]; ok {
				body = given
			}
		}
		path := func(id string) string { return strings.Replace(route.Path, ":id", id, 1) }
		for who, c := range map[string]*client{"a session": stranger.client, "an API key": key} {
			theirs := c.do(t, route.Method, path(ids[collection]), body)
			nobodys := c.do(t, route.Method, path(tenancy.NewID().String()), body)
			what := route.Method + " " + route.Path + " with " + who
			if who == "an API key" && route.Access == httpapi.Signed {
				assert.Equal(t, http.StatusForbidden, theirs.status, what)
			} else {
				assert.Equal(t, http.StatusNotFound, theirs.status, "%s answered %s", what, theirs.raw)
			}
			assert.Equal(t, comparable(nobodys), comparable(theirs), "%s tells another tenant's id from one that does not exist", what)
			assert.Equal(t, headers(nobodys), headers(theirs), what)
		}
	}
	assert.GreaterOrEqual(t, walked, len(made), "the walk found its routes")

	for collection, id := range ids {
		for _, c := range []*client{stranger.client, key} {
			a := c.do(t, http.MethodGet, collection, nil)
			if a.status == http.StatusOK {
				assert.NotContains(t, a.raw, id, "%s lists another tenant's record", collection)
			}
		}
	}
	assert.Equal(t, before, lists(t, s, victim), "nothing of the victim's has changed")
	audited := victim.must(t, http.StatusOK, http.MethodGet, "/audit-events?limit=100", nil)
	assert.NotContains(t, audited.raw, stranger.user, "nothing the stranger did is in the victim's audit")
}

// lists is what every list route answers its own tenant.
func lists(t *testing.T, s *stack, o owner) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, route := range s.api.Routes() {
		if route.IsList && !strings.Contains(route.Path, ":") && route.Path != "/audit-events" {
			all[route.Path] = o.must(t, http.StatusOK, http.MethodGet, route.Path, nil).raw
		}
	}
	return all
}

// comparable is an answer without what differs between any two.
func comparable(a answer) map[string]any {
	body := maps.Clone(a.body)
	delete(body, "request_id")
	return map[string]any{"status": a.status, "body": body}
}

func headers(a answer) http.Header {
	h := a.header.Clone()
	for name := range h {
		if strings.Contains(strings.ToLower(name), "ratelimit") {
			h.Del(name)
		}
	}
	h.Del("X-Request-Id")
	h.Del("Date")
	return h
}

// TestCredentials walks every route without a credential and with one that may do nothing.
func TestCredentials(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	narrow := o.key(t, "tenant:read")
	for _, route := range s.api.Routes() {
		path := strings.Replace(route.Path, ":id", tenancy.NewID().String(), 1)
		var body any
		if route.Method != http.MethodGet && route.Method != http.MethodDelete {
			body = "{}"
		}
		if route.Access == httpapi.Public {
			continue
		}
		t.Run(strings.ReplaceAll(route.Method+strings.ReplaceAll(route.Path, "/", "_"), ":", ""), func(t *testing.T) {
			t.Parallel()
			a := s.anonymous().refused(t, http.StatusUnauthorized, "auth.required", route.Method, path, body)
			assert.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
			for _, token := range []string{"x", "gw_live_x", "a.b.c", "gw_live_" + strings.Repeat("A", 5000)} {
				bad := s.as(token)
				assert.Equal(t, http.StatusUnauthorized, bad.do(t, route.Method, path, body).status, token)
			}
			switch {
			case route.Access == httpapi.Signed:
				narrow.refused(t, http.StatusForbidden, "session_required", route.Method, path, body)
			case route.Permission != "" && route.Permission != "tenant:read":
				narrow.refused(t, http.StatusForbidden, "permission_denied", route.Method, path, body)
			default:
				assert.NotEqual(t, http.StatusForbidden, narrow.do(t, route.Method, path, body).status)
			}
		})
	}
}
