package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// customer makes a customer and returns its id.
func (c *client) customer(tb testing.TB) string {
	tb.Helper()
	return c.must(tb, http.StatusCreated, http.MethodPost, "/customers", `{"name":"Somebody"}`).text("id")
}

// order makes a draft of the lines, for a customer of its own.
func (c *client) order(tb testing.TB, lines string) answer {
	tb.Helper()
	return c.must(tb, http.StatusCreated, http.MethodPost, "/orders",
		fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[%s]}`, c.customer(tb), lines))
}

func TestOrders(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	key := o.key(t, "*")

	t.Run("totals_are_computed_and_rounded_half_up", func(t *testing.T) {
		t.Parallel()
		a := key.order(t, `{"sku":"A","quantity":3,"unit_price_cents":333,"discount_bp":500},{"sku":"B","description":"b","quantity":1,"unit_price_cents":1,"discount_bp":5000}`)
		assert.InDelta(t, 949, a.at("lines", 0, "total_cents"), 0) // 999 × 0.95 = 949.05
		assert.InDelta(t, 1, a.at("lines", 1, "total_cents"), 0)   // 0.5 up
		assert.InDelta(t, 950, a.at("total_cents"), 0)
		assert.Equal(t, "draft", a.text("status"))
		assert.Equal(t, a.raw, key.must(t, 200, http.MethodGet, "/orders/"+a.text("id"), nil).raw)
	})
	t.Run("numbers_are_given_in_turn_past_those_in_use", func(t *testing.T) {
		t.Parallel()
		c := s.signUp(t).key(t, "*")
		customer := c.customer(t)
		body := func(number string) string {
			return fmt.Sprintf(`{"customer_id":%q,"currency":"EUR"%s,"lines":[{"sku":"A","quantity":1,"unit_price_cents":1}]}`, customer, number)
		}
		c.must(t, 201, http.MethodPost, "/orders", body(`,"number":"2"`))
		c.must(t, 201, http.MethodPost, "/orders", body(`,"number":"3"`))
		assert.Equal(t, "1", c.must(t, 201, http.MethodPost, "/orders", body("")).text("number"))
		assert.Equal(t, "4", c.must(t, 201, http.MethodPost, "/orders", body("")).text("number"))
		again := c.refused(t, 409, "order.number_taken", http.MethodPost, "/orders", body(`,"number":"2"`))
		assert.Equal(t, []string{"/number"}, again.pointers())
	})
	t.Run("goes_its_way_and_no_other", func(t *testing.T) {
		t.Parallel()
		path := "/orders/" + key.order(t, `{"sku":"A","quantity":1,"unit_price_cents":100}`).text("id")
		wrong := key.refused(t, 409, "order.wrong_state", http.MethodPost, path+"/ship", nil)
		assert.Contains(t, wrong.text("detail"), "draft")
		assert.Contains(t, wrong.text("detail"), "shipped")
		for i, act := range []string{"place", "pay", "ship"} {
			a := key.must(t, 200, http.MethodPost, path+"/"+act, nil)
			assert.Equal(t, []string{"placed", "paid", "shipped"}[i], a.text("status"))
			assert.NotEmpty(t, a.text(a.text("status")+"_at"))
			key.refused(t, 409, "order.wrong_state", http.MethodPost, path+"/"+act, nil)
		}
		key.refused(t, 409, "order.wrong_state", http.MethodPost, path+"/cancel", nil)
		key.refused(t, 409, "order.not_changeable", http.MethodPatch, path, `{"note":"late"}`)
		key.refused(t, 409, "order.not_changeable", http.MethodPatch, path, `{"lines":[{"sku":"B","quantity":1,"unit_price_cents":1}]}`)
		key.must(t, 200, http.MethodPatch, path, `{"tags":["archived"]}`)
		key.refused(t, 409, "order.not_deletable", http.MethodDelete, path, nil)
		history := key.must(t, 200, http.MethodGet, path+"/history", nil)
		for i, action := range []string{"order.updated", "order.shipped", "order.paid", "order.placed", "order.created"} {
			assert.Equal(t, action, history.text("data", i, "action"))
		}
	})
	t.Run("is_cancelled_from_any_state_but_shipped", func(t *testing.T) {
		t.Parallel()
		for _, acts := range [][]string{nil, {"place"}, {"place", "pay"}} {
			path := "/orders/" + key.order(t, `{"sku":"A","quantity":1,"unit_price_cents":100}`).text("id")
			for _, act := range acts {
				key.must(t, 200, http.MethodPost, path+"/"+act, nil)
			}
			assert.Equal(t, "cancelled", key.must(t, 200, http.MethodPost, path+"/cancel", nil).text("status"))
		}
	})
	t.Run("expands_its_customer", func(t *testing.T) {
		t.Parallel()
		made := key.order(t, `{"sku":"A","quantity":1,"unit_price_cents":100}`)
		a := key.must(t, 200, http.MethodGet, "/orders/"+made.text("id")+"?expand=customer", nil)
		assert.Equal(t, made.text("customer_id"), a.text("customer", "id"))
		assert.Equal(t, "Somebody", a.text("customer", "name"))
		assert.Empty(t, a.header.Get("Etag"))
		list := key.must(t, 200, http.MethodGet, "/orders?expand=customer&fields=number&limit=2", nil)
		assert.Equal(t, "Somebody", list.text("data", 0, "customer", "name"))
		key.refused(t, 400, "invalid_query", http.MethodGet, "/orders?expand=lines", nil)
		narrow := o.key(t, "orders:read")
		narrow.must(t, 200, http.MethodGet, "/orders/"+made.text("id"), nil)
		for _, path := range []string{"/orders?expand=customer", "/orders/" + made.text("id") + "?expand=customer"} {
			denied := narrow.refused(t, 403, "permission_denied", http.MethodGet, path, nil)
			assert.Contains(t, denied.text("detail"), "customers:read", "who may not read customers does not read them so")
		}
	})
	t.Run("outlives_its_customer", func(t *testing.T) {
		t.Parallel()
		made := key.order(t, `{"sku":"A","quantity":1,"unit_price_cents":100}`)
		path, customer := "/orders/"+made.text("id"), made.text("customer_id")
		key.must(t, 204, http.MethodDelete, "/customers/"+customer, nil)
		key.must(t, 200, http.MethodPatch, path, `{"note":"still wanted"}`)
		key.must(t, 200, http.MethodPost, path+"/place", nil)
		a := key.must(t, 200, http.MethodGet, path+"?expand=customer", nil)
		assert.Equal(t, customer, a.text("customer", "id"))
		assert.NotEmpty(t, a.text("customer", "deleted_at"))
		again := key.refused(t, 422, "validation_failed", http.MethodPost, "/orders",
			fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[{"sku":"A","quantity":1,"unit_price_cents":1}]}`, customer))
		assert.Equal(t, []string{"/customer_id"}, again.pointers())
	})
	t.Run("what_is_wrong_is_refused", func(t *testing.T) {
		t.Parallel()
		other := s.signUp(t).customer(t)
		deleted := key.customer(t)
		key.must(t, 204, http.MethodDelete, "/customers/"+deleted, nil)
		mine := key.customer(t)
		line := `{"sku":"A","quantity":1,"unit_price_cents":1}`
		for name, tt := range map[string]struct {
			body    string
			pointer string
		}{
			"another_tenants_customer": {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[%s]}`, other, line), "/customer_id"},
			"nobodys_customer":         {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[%s]}`, tenancy.NewID(), line), "/customer_id"},
			"a_deleted_customer":       {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[%s]}`, deleted, line), "/customer_id"},
			"no_customer":              {fmt.Sprintf(`{"currency":"EUR","lines":[%s]}`, line), "/customer_id"},
			"no_lines":                 {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[]}`, mine), "/lines"},
			"lines_left_out":           {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR"}`, mine), "/lines"},
			"an_unknown_currency":      {fmt.Sprintf(`{"customer_id":%q,"currency":"XXQ","lines":[%s]}`, mine, line), "/currency"},
			"a_negative_quantity":      {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[{"sku":"A","quantity":-1,"unit_price_cents":1}]}`, mine), "/lines/0/quantity"},
			"a_negative_price":         {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[{"sku":"A","quantity":1,"unit_price_cents":-1}]}`, mine), "/lines/0/unit_price_cents"},
			"more_than_all_off":        {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[{"sku":"A","quantity":1,"unit_price_cents":1,"discount_bp":10001}]}`, mine), "/lines/0/discount_bp"},
			"an_overflowing_line":      {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[{"sku":"A","quantity":1000000000,"unit_price_cents":9223372036854775807}]}`, mine), "/lines/0"},
			"an_overflowing_sum":       {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[{"sku":"A","quantity":1,"unit_price_cents":9223372036854775807},%s]}`, mine, line), "/lines"},
			"a_total_of_ones_own":      {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","total_cents":1,"lines":[%s]}`, mine, line), "/total_cents"},
			"a_state_of_ones_own":      {fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","status":"paid","lines":[%s]}`, mine, line), "/status"},
		} {
			a := key.refused(t, 422, "validation_failed", http.MethodPost, "/orders", tt.body)
			assert.Equal(t, []string{tt.pointer}, a.pointers(), "%s: %s", name, a.raw)
		}
	})
	t.Run("a_number_that_was_taken_meanwhile_stops_a_restore", func(t *testing.T) {
		t.Parallel()
		customer := key.customer(t)
		body := fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","number":"R-1","lines":[{"sku":"A","quantity":1,"unit_price_cents":1}]}`, customer)
		first := key.must(t, 201, http.MethodPost, "/orders", body).text("id")
		key.must(t, 204, http.MethodDelete, "/orders/"+first, nil)
		second := key.must(t, 201, http.MethodPost, "/orders", body).text("id")
		key.refused(t, 409, "order.number_taken", http.MethodPost, "/orders/"+first+"/restore", nil)
		key.must(t, 204, http.MethodDelete, "/orders/"+second, nil)
		key.must(t, 200, http.MethodPost, "/orders/"+first+"/restore", nil)
	})
}

func TestBulk(t *testing.T) {
	t.Parallel()
	s := newStack(t)

	t.Run("a_thousand_creates_take_less_than_a_moment", func(t *testing.T) {
		t.Parallel()
		key := s.signUp(t).key(t, "*")
		customer := key.customer(t)
		item := fmt.Sprintf(`{"customer_id":%q,"currency":"EUR","lines":[{"sku":"A","quantity":2,"unit_price_cents":50}]}`, customer)
		items := strings.TrimSuffix(strings.Repeat(item+",", 1000), ",")
		started := time.Now()
		a := key.must(t, 200, http.MethodPost, "/orders/bulk", `{"mode":"create","atomic":true,"items":[`+items+`]}`)
		t.Logf("1,000 creates in %s", time.Since(started))
		assert.InDelta(t, 201, a.at("results", 999, "status"), 0)
		assert.Equal(t, "1000", a.text("results", 999, "data", "number"))
		var orders, audits, events int
		tenant := a.text("results", 0, "data", "id")
		row := databaseRow(t, s, `select (select count(*) from orders o where o.tenant_id = x.tenant_id),
			(select count(*) from audit_events o where o.tenant_id = x.tenant_id and resource = 'order'),
			(select count(*) from events o where o.tenant_id = x.tenant_id and type = 'order.created') from orders x where id = $1`, tenant)
		require.NoError(t, row.Scan(&orders, &audits, &events))
		assert.Equal(t, []int{1000, 1000, 1000}, []int{orders, audits, events}, "each item has its audit entry and its event")
		key.refused(t, 422, "validation_failed", http.MethodPost, "/orders/bulk", `{"mode":"create","items":[`+items+","+item+`]}`)
	})
	t.Run("by_item_the_good_ones_are_done", func(t *testing.T) {
		t.Parallel()
		key := s.signUp(t).key(t, "*")
		a := key.must(t, 207, http.MethodPost, "/customers/bulk", `{"mode":"create","items":[
			{"name":"good","code":"A"},{"name":""},{"name":"twice","code":"A"},7,{"name":"x","surprise":1},{"name":"also good"}]}`)
		for i, status := range []float64{201, 422, 409, 422, 422, 201} {
			assert.InDelta(t, status, a.at("results", i, "status"), 0, "item %d: %s", i, a.raw)
		}
		assert.Equal(t, "/name", a.text("results", 1, "error", "errors", 0, "pointer"))
		assert.Equal(t, "customer.code_taken", a.text("results", 2, "error", "code"))
		assert.Len(t, key.must(t, 200, http.MethodGet, "/customers", nil).at("data"), 2)
	})
	t.Run("atomic_with_a_bad_item_changes_nothing", func(t *testing.T) {
		t.Parallel()
		key := s.signUp(t).key(t, "*")
		a := key.refused(t, 422, "bulk_refused", http.MethodPost, "/customers/bulk", `{"mode":"create","atomic":true,"items":[
			{"name":"good","code":"A"},{"name":""},{"name":"twice","code":"A"}]}`)
		assert.Equal(t, []string{"/items/1/name", "/items/2/code"}, a.pointers())
		assert.Empty(t, key.must(t, 200, http.MethodGet, "/customers", nil).at("data"))
	})
	t.Run("updates_upserts_and_deletes", func(t *testing.T) {
		t.Parallel()
		key, stranger := s.signUp(t).key(t, "*"), s.signUp(t).key(t, "*")
		theirs := stranger.customer(t)
		a := key.must(t, 200, http.MethodPost, "/customers/bulk", `{"mode":"upsert","by":"code","items":[{"code":"A","name":"a"},{"code":"B","name":"b"}]}`)
		id := a.text("results", 0, "data", "id")
		b := key.must(t, 207, http.MethodPost, "/customers/bulk", `{"mode":"upsert","by":"code","items":[
			{"code":" A ","name":"a2","tags":["x"]},{"code":"C","name":"c"},{"name":"without"},{"code":"A","name":"again"}]}`)
		for i, status := range []float64{200, 201, 422, 409} {
			assert.InDelta(t, status, b.at("results", i, "status"), 0, "item %d: %s", i, b.raw)
		}
		assert.Equal(t, id, b.text("results", 0, "data", "id"))
		assert.InDelta(t, 2, b.at("results", 0, "data", "version"), 0)
		same := key.must(t, 200, http.MethodPost, "/customers/bulk", `{"mode":"upsert","by":"code","items":[{"code":"A","name":"a2"}]}`)
		assert.InDelta(t, 2, same.at("results", 0, "data", "version"), 0, "what changes nothing makes no version")

		c := key.must(t, 207, http.MethodPost, "/customers/bulk", fmt.Sprintf(`{"mode":"update","items":[
			{"id":%q,"email":"a@example.com"},{"id":%q,"name":"stolen"},{"name":"nobody"},{"id":%q,"code":"B"}]}`, id, theirs, b.text("results", 1, "data", "id")))
		for i, status := range []float64{200, 404, 422, 409} {
			assert.InDelta(t, status, c.at("results", i, "status"), 0, "item %d: %s", i, c.raw)
		}
		d := key.must(t, 207, http.MethodPost, "/customers/bulk", fmt.Sprintf(`{"mode":"delete","items":[{"id":%q},{"id":%q},{"id":%q,"name":"x"}]}`, id, theirs, id))
		for i, status := range []float64{204, 404, 422} {
			assert.InDelta(t, status, d.at("results", i, "status"), 0, "item %d: %s", i, d.raw)
		}
		key.refused(t, 404, "customer.not_found", http.MethodGet, "/customers/"+id, nil)
		stranger.must(t, 200, http.MethodGet, "/customers/"+theirs, nil)
	})
	t.Run("history_comes_in_with_the_permission", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		key, narrow := o.key(t, "*"), o.key(t, "orders:read", "orders:write")
		body := fmt.Sprintf(`{"mode":"upsert","by":"number","items":[{"customer_id":%q,"number":"10248","currency":"USD","status":"shipped",
			"placed_at":"1996-07-04T00:00:00Z","shipped_at":"1996-07-16T00:00:00Z","lines":[{"sku":"11","quantity":12,"unit_price_cents":1400}]}]}`, key.customer(t))
		refused := narrow.must(t, 207, http.MethodPost, "/orders/bulk", body)
		assert.Equal(t, "read_only", refused.text("results", 0, "error", "errors", 0, "code"))
		a := key.must(t, 200, http.MethodPost, "/orders/bulk", body)
		assert.Equal(t, "1996-07-04T00:00:00Z", a.text("results", 0, "data", "placed_at"))
		assert.Equal(t, "shipped", a.text("results", 0, "data", "status"))
		again := key.must(t, 200, http.MethodPost, "/orders/bulk", body)
		assert.InDelta(t, 1, again.at("results", 0, "data", "version"), 0, "a second time changes nothing")
		wrong := key.must(t, 207, http.MethodPost, "/orders/bulk", strings.NewReplacer(`"status":"shipped",`, `"status":"placed",`, `"placed_at":"1996-07-04T00:00:00Z",`, "", "10248", "10249").Replace(body))
		assert.Equal(t, "/placed_at", wrong.text("results", 0, "error", "errors", 0, "pointer"))
	})
	t.Run("what_is_wrong_with_the_whole_is_refused", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		key, narrow := o.key(t, "*"), o.key(t, "customers:write")
		for body, pointer := range map[string]string{
			`{"mode":"replace","items":[{}]}`: "/mode", `{"items":[{}]}`: "/mode", `{"mode":"create","items":[]}`: "/items",
			`{"mode":"create"}`: "/items", `{"mode":"create","items":{}}`: "/items", `{"mode":"upsert","items":[{}]}`: "/by",
			`{"mode":"upsert","by":"name","items":[{}]}`: "/by", `{"mode":"create","by":"code","items":[{}]}`: "/by",
			`{"mode":"create","dry_run":true,"items":[{}]}`: "/dry_run",
		} {
			a := key.refused(t, 422, "validation_failed", http.MethodPost, "/customers/bulk", body)
			assert.Equal(t, []string{pointer}, a.pointers(), body)
		}
		narrow.refused(t, 403, "permission_denied", http.MethodPost, "/customers/bulk", `{"mode":"delete","items":[{"id":"`+tenancy.NewID().String()+`"}]}`)
		key.refused(t, 413, "body_too_large", http.MethodPost, "/customers/bulk", `{"mode":"create","items":[{"name":"`+strings.Repeat("x", 8<<20)+`"}]}`)
	})
}

// A rule that only the database knows fails the item that breaks it, and no other.
func TestBulk_with_rules_of_the_database(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	s.Exec(t, "alter table customers add constraint customers_name_check check (name <> 'Mallory')")
	s.Exec(t, "alter table customers add constraint customers_mail_of_vips_check check (code is null or email is not null)")
	s.Exec(t, "alter table orders add constraint orders_note_check check (note <> 'never')")
	items := `[{"name":"Ada"},{"name":"Mallory"},{"name":"Grace","code":"G"},{"name":"Eve","email":"x"},{"name":"Joan"}]`
	count := func(want int) {
		t.Helper()
		assert.Len(t, o.must(t, 200, http.MethodGet, "/customers", nil).at("data"), want)
	}
	for i, c := range []*client{o.client, o.with("Idempotency-Key", "bulk-with-rules")} {
		a := c.must(t, 207, http.MethodPost, "/customers/bulk", `{"mode":"create","items":`+items+`}`)
		for n, want := range []string{"", "/name", "", "/email", ""} {
			assert.InDelta(t, map[bool]int{true: 422, false: 201}[n >= 1 && n <= 3], a.at("results", n, "status"), 0, n)
			assert.Equal(t, want, a.text("results", n, "error", "errors", 0, "pointer"), n)
		}
		assert.Contains(t, a.text("results", 2, "error", "errors", 0, "detail"), "mail_of_vips")
		count(2 * (i + 1))
	}
	again := o.with("Idempotency-Key", "bulk-with-rules").must(t, 207, http.MethodPost, "/customers/bulk", `{"mode":"create","items":`+items+`}`)
	assert.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	count(4)
	a := o.refused(t, 422, "bulk_refused", http.MethodPost, "/customers/bulk", `{"mode":"create","atomic":true,"items":`+strings.Replace(items, `,{"name":"Eve","email":"x"}`, "", 1)+`}`)
	assert.Equal(t, []string{"/items/1/name", "/items/2"}, a.pointers())
	count(4)

	customer := o.must(t, 200, http.MethodGet, "/customers", nil).text("data", 0, "id")
	order := func(note string) string {
		return `{"customer_id":"` + customer + `","currency":"EUR","note":"` + note + `","lines":[{"sku":"A","quantity":1,"unit_price_cents":1}]}`
	}
	b := o.with("Idempotency-Key", "orders-with-rules").must(t, 207, http.MethodPost, "/orders/bulk",
		`{"mode":"create","items":[`+order("a")+`,`+order("never")+`,`+order("b")+`]}`)
	assert.Equal(t, "/note", b.text("results", 1, "error", "errors", 0, "pointer"))
	first, second := b.text("results", 0, "data", "number"), b.text("results", 2, "data", "number")
	require.NotEmpty(t, first)
	var n, m int
	_, err := fmt.Sscanf(first[strings.LastIndexFunc(first, func(r rune) bool { return r < '0' || r > '9' })+1:], "%d", &n)
	require.NoError(t, err)
	_, err = fmt.Sscanf(second[strings.LastIndexFunc(second, func(r rune) bool { return r < '0' || r > '9' })+1:], "%d", &m)
	require.NoError(t, err)
	assert.Equal(t, n+1, m, "one that is refused takes no number")
	update := o.must(t, 207, http.MethodPost, "/customers/bulk", `{"mode":"update","items":[{"id":"`+customer+`","name":"Mallory"}]}`)
	assert.Equal(t, "/name", update.text("results", 0, "error", "errors", 0, "pointer"))
}
