package postgres_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/databasetest"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// haystack is a tenant whose customers are looked for.
type haystack struct {
	*storetest.Stack

	service *resource.Service
	scope   tenancy.Scope
}

func newHaystack(t *testing.T) *haystack {
	t.Helper()
	s := &haystack{Stack: storetest.New(t)}
	d := customers.Definition()
	require.NoError(t, s.DB.Register(d.New()))
	router := postgres.Shared{DB: s.DB}
	s.service = resource.NewService(d, resource.Dependencies{
		Store: postgres.NewResources(router), History: postgres.NewAudit(router), Validator: validate.New(), Now: time.Now,
	})
	s.scope = s.Tenant(t)
	return s
}

func (s *haystack) create(t *testing.T, c *customers.Customer) {
	t.Helper()
	require.NoError(t, s.service.Create(t.Context(), s.scope, c))
}

// fill makes customers "Bulk 1" to "Bulk n", the later the newer.
func (s *haystack) fill(t *testing.T, from, to int) {
	t.Helper()
	s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, name, code)
		select $1, ('0199' || lpad(to_hex(n), 8, '0') || '70008000000000000000')::uuid, 1, now(), now(), 'Bulk ' || n, case when n % 100 = 0 then 'bulk' || n end
		from generate_series($2::int, $3::int) n`, s.scope.Tenant.String(), from, to)
}

// names are those of the customers that the parameters select, in their order.
func (s *haystack) names(t *testing.T, params ...string) []string {
	t.Helper()
	p, err := s.list(t, page.Request{Limit: page.MaxLimit}, params...)
	require.NoError(t, err, params)
	return namesOf(p)
}

func (s *haystack) list(t *testing.T, request page.Request, params ...string) (page.Page[resource.Entity], error) {
	t.Helper()
	values := map[string][]string{}
	for i := 0; i < len(params); i += 2 {
		values[params[i]] = []string{params[i+1]}
	}
	q, err := s.service.Definition.ParseQuery(values)
	require.NoError(t, err, params)
	q.Request = request
	return s.service.List(t.Context(), s.scope, q)
}

func namesOf(p page.Page[resource.Entity]) []string {
	names := []string{}
	for _, e := range p.Items {
		c, _ := e.(*customers.Customer)
		names = append(names, c.Name)
	}
	return names
}

func TestSearch_finds_words(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	for name, searches := range map[string]struct{ finds, misses []string }{
		"Crème Brûlée GmbH": {
			finds:  []string{"creme", "CREME", "crème", "brulee creme", "gmbh  BRÛL", "cre\u0300me", "cr", "Crème-Brûlée", "«creme»"},
			misses: []string{"reme", "crem brulee", "creme tarte", "brule gmbh"},
		},
		"Straße & Söhne":  {finds: []string{"strasse", "straße", "SOHNE", "söh"}, misses: []string{"soehne"}},
		"Łódź Æon Øre":    {finds: []string{"lodz", "aeon", "ore łód"}},
		"Ελλάς Αθήνα":     {finds: []string{"ελλας", "ΕΛΛΑΣ", "αθη"}, misses: []string{"λλας"}},
		"Москва Й":        {finds: []string{"москва", "МОСК"}},
		"東京タワー":           {finds: []string{"東京", "東京タワー"}, misses: []string{"京"}},
		"हिन्दी भाषा":     {finds: []string{"हिन्दी", "भाषा हिन्"}},
		"O'Neil-Smith 42": {finds: []string{"o'neil", "neil smith", "smith o 4", "neil'"}, misses: []string{"oneil"}},
		"a_b@c.example":   {finds: []string{"a_b@c.example", "b example", "c.ex"}},
		"☕ Café":          {finds: []string{"☕", "cafe ☕"}},
		strings.Repeat("long", 50): {
			finds: []string{"long", strings.Repeat("long", 10), strings.Repeat("long", 50)}, misses: []string{strings.Repeat("gnol", 50)},
		},
	} {
		s.create(t, &customers.Customer{Name: name})
		for _, search := range searches.finds {
			assert.Equal(t, []string{name}, s.names(t, "q", search), "q=%s", search)
			assert.Equal(t, []string{name}, s.names(t, "q", search, "sort", "name"), "q=%s, sorted", search)
		}
		for _, search := range searches.misses {
			assert.Empty(t, s.names(t, "q", search), "q=%s", search)
		}
	}
}

func TestSearch_takes_any_text(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	s.create(t, &customers.Customer{Name: "Plain"})
	for _, search := range []string{
		"'", "''", "&", "!", ":*", "<->", "|", "(", ")", `\`, `\'`, "'a", "a'", "a & b", "!plain | x", "plain:*ABCD", "<2>", "$1", "?", "%", "--", "/*",
		"; drop table customers", "''::tsquery", "\u00a0&", "\u2028|", "\ufeff", "\u0301", "💥", "ﷺ", strings.Repeat("'", 500),
		strings.Repeat("ﷺ", 160), strings.Repeat("&!:* ", 100),
	} {
		for _, sort := range []string{"", "-name"} {
			params := []string{"q", search, "tags[any]", search, "custom.a", search}
			if sort != "" {
				params = append(params, "sort", sort)
			}
			assert.Empty(t, s.names(t, params...), "q=%q", search)
		}
	}
	assert.Equal(t, []string{"Plain"}, s.names(t, "q", "!plain &"), "signs between words mean nothing")
}

func TestSearch_has_the_best_matches_first(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	s.create(t, &customers.Customer{Name: "By mail", Email: new("anna@example.com")})
	s.create(t, &customers.Customer{Name: "Anna the older"})
	s.create(t, &customers.Customer{Name: "By code", Code: new("ANNA")})
	s.create(t, &customers.Customer{Name: "Anna the newer"})
	s.create(t, &customers.Customer{Name: "Anna and Anna"})
	s.create(t, &customers.Customer{Name: "Ann"})
	assert.Equal(t, []string{"By code", "Anna and Anna", "Anna the newer", "Anna the older", "By mail"}, s.names(t, "q", "anna"))
	assert.Equal(t, []string{"Anna the newer"}, s.names(t, "q", "anna new"))
	assert.Equal(t, []string{"By mail", "Anna the older", "By code", "Anna the newer", "Anna and Anna"}, s.names(t, "q", "anna", "sort", "id"))

	// Equal ranks are told apart by the id, over pages of any size, there and back.
	want := s.names(t, "q", "anna")
	for limit := 1; limit <= 3; limit++ {
		assert.Equal(t, want, s.walk(t, limit, "q", "anna"))
	}
}

// walk goes through a list page by page to its end and back, and returns what it saw on its way there.
func (s *haystack) walk(t *testing.T, limit int, params ...string) []string {
	t.Helper()
	var there, back []string
	request := page.Request{Limit: limit}
	for {
		p, err := s.list(t, request, params...)
		require.NoError(t, err)
		there = append(there, namesOf(p)...)
		require.Less(t, len(there), 10_000)
		if p.Next == nil {
			back = namesOf(p)
			request.After = p.Prev
			break
		}
		request.After = sealed(t, p.Next)
	}
	for request.After != nil {
		request.Backward, request.After = true, sealed(t, request.After)
		p, err := s.list(t, request, params...)
		require.NoError(t, err)
		back = append(namesOf(p), back...)
		request.After = p.Prev
	}
	require.Equal(t, there, back)
	return there
}

// sealed is a position as it comes back from a cursor.
func sealed(t *testing.T, position page.Position) page.Position {
	t.Helper()
	b, err := json.Marshal(position)
	require.NoError(t, err)
	var back page.Position
	require.NoError(t, json.Unmarshal(b, &back))
	return back
}

func TestSearch_where_very_many_match(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	codes := func(n int) (names []string) { // those that match by their code as well, the newest first
		for ; n > 0; n -= 100 {
			names = append(names, fmt.Sprintf("Bulk %d", n))
		}
		return names
	}
	s.fill(t, 1, 1000)
	first, err := s.list(t, page.Request{Limit: 12}, "q", "bulk")
	require.NoError(t, err)
	assert.Equal(t, append(codes(1000), "Bulk 999", "Bulk 998"), namesOf(first), "a thousand are ranked")
	assert.Len(t, s.walk(t, 97, "q", "bulk"), 1000)

	// One more, and the newest are first, with and without ranks.
	s.fill(t, 1001, 1001)
	assert.Equal(t, []string{"Bulk 1001", "Bulk 1000", "Bulk 999"}, s.names(t, "q", "bulk")[:3])
	many, err := s.list(t, page.Request{Limit: 12}, "q", "bulk")
	require.NoError(t, err)
	assert.Nil(t, many.Next[0], "a position without a rank")
	next, err := s.list(t, page.Request{Limit: 2, After: sealed(t, many.Next)}, "q", "bulk")
	require.NoError(t, err)
	assert.Equal(t, []string{"Bulk 989", "Bulk 988"}, namesOf(next))
	// A list that began with ranks goes on with them.
	next, err = s.list(t, page.Request{Limit: 2, After: sealed(t, first.Next)}, "q", "bulk")
	require.NoError(t, err)
	assert.Equal(t, []string{"Bulk 997", "Bulk 996"}, namesOf(next))
	// One that began without goes on without.
	s.Exec(t, `delete from customers where name = 'Bulk 500'`)
	next, err = s.list(t, page.Request{Limit: 2, After: sealed(t, many.Next)}, "q", "bulk")
	require.NoError(t, err)
	assert.Equal(t, []string{"Bulk 989", "Bulk 988"}, namesOf(next))
	assert.Nil(t, next.Next[0])
}

func TestSearch_of_what_nearly_all_records_have(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	s.fill(t, 1, 12_000)
	s.Exec(t, "vacuum analyze customers")
	assert.Equal(t, []string{"Bulk 12000", "Bulk 11999", "Bulk 11998"}, s.names(t, "q", "bulk")[:3])
	assert.Equal(t, []string{"Bulk 1", "Bulk 10", "Bulk 100"}, s.names(t, "q", "bulk", "sort", "name")[:3])
	assert.Equal(t, []string{"Bulk 7777"}, s.names(t, "q", "bulk 7777"))
	rank := page.Position{"0.6", tenancy.NewID().String()}
	_, err := s.list(t, page.Request{Limit: 2, After: rank}, "q", "bulk")
	f, ok := fault.As(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "invalid_cursor", f.Code, "more than ten thousand are not ranked any more")
}

func TestSearch_knows_records_as_they_are(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	c := &customers.Customer{Name: "Before", Tags: []string{"old"}, Custom: map[string]any{"state": "draft"}}
	s.create(t, c)
	_, err := s.service.Change(t.Context(), s.scope, c.ID, 0, func(e resource.Entity) error {
		c, _ := e.(*customers.Customer)
		c.Name, c.Tags, c.Custom = "After", []string{"new"}, map[string]any{"state": "final"}
		return nil
	})
	require.NoError(t, err)
	for _, gone := range [][]string{{"q", "before"}, {"tags[any]", "old"}, {"custom.state", "draft"}, {"q", "after", "tags[any]", "old"}} {
		assert.Empty(t, s.names(t, gone...), gone)
	}
	for _, here := range [][]string{{"q", "after"}, {"tags[any]", "old,new"}, {"custom.state", "draft,final"}, {"q", "after", "tags[all]", "new", "custom.state", "final"}} {
		assert.Equal(t, []string{"After"}, s.names(t, here...), here)
		assert.Empty(t, s.names(t, append(here, "trashed", "only")...), here)
	}
	require.NoError(t, s.service.Delete(t.Context(), s.scope, c.ID, 0))
	assert.Empty(t, s.names(t, "q", "after"))
	assert.Equal(t, []string{"After"}, s.names(t, "q", "after", "trashed", "only"))
	assert.Equal(t, []string{"After"}, s.names(t, "q", "after", "trashed", "with", "custom.state", "final"))
}

func TestFilters_by_what_objects_hold_know_types(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	for name, custom := range map[string]string{
		"one": `{"a": 1}`, "one with zeros": `{"a": 1.000}`, "exponent": `{"a": 10e-1}`, "text": `{"a": "1"}`, "true": `{"a": true}`,
		"text true": `{"a": "true"}`, "list": `{"a": [1, "1", true]}`, "object": `{"a": {"a": 1}}`, "null": `{"a": null}`, "huge": `{"a": 1e300}`,
		"other": `{"b": 1}`, "quoted": `{"a": "\"1\""}`, "minus": `{"a": -0.0}`, "empty": `{"a": ""}`, "dots": `{"a.b": 1}`,
	} {
		c := &customers.Customer{Name: name}
		decoder := json.NewDecoder(strings.NewReader(custom))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&c.Custom))
		s.create(t, c)
	}
	ones := []string{"exponent", "one", "one with zeros"}
	for filter, want := range map[string][]string{
		"1": ones, "1.0": ones, "100e-2": ones, `"1"`: {"text"}, "true": {"true"}, `"true"`: {"text true"}, "1e300": {"huge"}, "0": {"minus"},
		`"\"1\""`: {"quoted"}, `""`: {"empty"}, "": {"empty"}, "[1]": {}, "null": {}, `1,"1"`: append(slices.Clone(ones), "text"),
	} {
		assert.Equal(t, want, s.names(t, "custom.a", filter, "sort", "name"), "custom.a=%s", filter)
	}
	assert.Equal(t, []string{"dots"}, s.names(t, "custom.a.b", "1"))
	assert.Equal(t, []string{"other"}, s.names(t, "custom.b", "1"))
	assert.Empty(t, s.names(t, "custom.a", "1", "custom.b", "1"))
}

// The find functions look past row level security: they must see one tenant by themselves.
func TestFind_functions_see_one_tenant(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	mine, other := s.scope, s.Tenant(t)
	for _, scope := range []tenancy.Scope{mine, other} {
		s.scope = scope
		s.create(t, &customers.Customer{Name: "Anna", Tags: []string{"vip"}})
	}
	const find = `select cardinality(ids) from find_customers(search_query($1, 'anna'), null, 1000)`
	for name, url := range map[string]string{"app": s.AppURL, "worker": s.WorkerURL} {
		conn := databasetest.Connect(t, url)
		count := func(words tenancy.ID) (n int) {
			require.NoError(t, conn.QueryRow(t.Context(), find, words.String()).Scan(&n), name)
			return n
		}
		assert.Zero(t, count(mine.Tenant), "%s, before there is a tenant", name)
		_, err := conn.Exec(t.Context(), `select set_config('app.tenant_id', $1, false)`, mine.Tenant.String())
		require.NoError(t, err)
		assert.Equal(t, 1, count(mine.Tenant), name)
		assert.Zero(t, count(other.Tenant), "%s, with another tenant's words", name)
		_, err = conn.Exec(t.Context(), `update customers set name = 'Anna ' || version where name = 'Anna'`)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `select set_config('app.tenant_id', '', false)`)
		require.NoError(t, err)
		assert.Zero(t, count(mine.Tenant), "%s, when the tenant is gone", name)
	}
	for name, url := range map[string]string{"system": s.SystemURL, "reporting": s.ReportingURL} {
		_, err := databasetest.Connect(t, url).Exec(t.Context(), find, mine.Tenant.String())
		require.ErrorContains(t, err, "permission denied for function find_customers", name)
	}
	// Words of both tenants under one prefix, as if two tenants' prefixes were the same.
	app := databasetest.Connect(t, s.AppURL)
	_, err := app.Exec(t.Context(), `select set_config('app.tenant_id', $1, false)`, mine.Tenant.String())
	require.NoError(t, err)
	var n int
	require.NoError(t, app.QueryRow(t.Context(), `select cardinality(ids) from find_customers(
		search_query($1, 'anna') || search_query($2, 'anna') || search_query_values($2, '[{"field": "tags", "any": ["vip"]}]'), null, 1000)`,
		mine.Tenant.String(), other.Tenant.String()).Scan(&n))
	assert.Equal(t, 1, n)
	var setting string
	require.NoError(t, app.QueryRow(t.Context(), `select current_setting('enable_indexscan') from find_customers(search_query($1, 'anna'), null, 1)`,
		mine.Tenant.String()).Scan(&setting))
	assert.Equal(t, "on", setting, "what a find function sets is its own")
}

func TestSearch_is_the_tenants_own(t *testing.T) {
	t.Parallel()
	s := newHaystack(t)
	s.create(t, &customers.Customer{Name: "Mine", Tags: []string{"vip"}, Custom: map[string]any{"a": "b"}})
	s.scope = s.Tenant(t)
	for _, params := range [][]string{{"q", "mine"}, {"q", "m"}, {"tags[any]", "vip"}, {"tags[all]", "vip"}, {"custom.a", "b"}, {"q", "mine", "trashed", "with"}} {
		assert.Empty(t, s.names(t, params...), params)
	}
}

// FuzzSearch holds that no text is an error to a record that has it or to a search for it, and that a record is found by
// the text that it has.
func FuzzSearch(f *testing.F) {
	for _, seed := range []string{
		"", "a", "Crème brûlée", "'", "\\", "&!|:*<->()", "a'b\\c:d", "\t\n\r", "½ ﷺ ǆ", "İstanbul ıI", "e\u0301\u0327", "日本語テキスト",
		"\u1680\u180e\u2003\u3000x", "👩‍👩‍👧 family", "x\u0000y", strings.Repeat("word ", 3000), strings.Repeat("é", 3000), "a:1A b:2", "٣ ३ ३x", "ß ẞ ſ",
	} {
		f.Add(seed)
	}
	conn := databasetest.New(f).Admin(f)
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "") // nothing else gets in
		var words int
		var findsItself, isFoundByValue bool
		require.NoError(t, conn.QueryRow(t.Context(), `select cardinality(search_words($2)),
				coalesce(search_vector($1, array['', $2]) @@ search_query($1, $2), false),
				search_values($1, 'f', array[$2]) || search_values($1, 'g', jsonb_build_object($2, $2)) @@
					search_query_values($1, jsonb_build_array(jsonb_build_object('field', 'f', 'all', array[$2]),
						jsonb_build_object('field', 'g', 'key', $2, 'any', array[$2, 'x'])))`,
			"0199b3c4-1111-7abc-8def-0123456789ab", text).Scan(&words, &findsItself, &isFoundByValue), "%q", text)
		require.Equal(t, words > 0, findsItself, "%q", text)
		require.True(t, isFoundByValue, "%q", text)
	})
}
