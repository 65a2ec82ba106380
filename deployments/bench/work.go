package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
)

// kind is one sort of request that is measured.
type kind struct {
	name   string
	status int
	// request makes the next request of a contestant.
	request func(c *contestant) []byte
	// script is the same for pgbench; "" where it has none. checked says that pgbench also asks it as the API does: as
	// the API's role, under row level security, with the tenant's setting and the access check in front.
	script  string
	checked bool
	// alone says that it is also asked of the API whose database holds one tenant only.
	alone bool
	// bulk says that one client asks, a set number of times, with 1,000 orders each.
	bulk bool
}

// contestant answers HTTP.
type contestant struct {
	*process

	name  string
	token string
	deep  string // the cursor of the deep page
}

// work is what is asked.
type work struct {
	*stack

	contestants []*contestant
	deepPage    int
	made        atomic.Int64
}

const (
	ordersPath = "/api/v1/orders"
	pageSize   = 25
	bulkSize   = 1000
)

// newWork looks the deep page's cursors up, and makes sure that the contestants answer the same.
func (s *stack) newWork(ctx context.Context) (*work, error) {
	w := &work{stack: s, contestants: []*contestant{
		{process: s.api, name: "API", token: s.token},
		{process: s.rival, name: "hand-written", token: s.token},
		{process: s.alone, name: "API, one tenant", token: s.token},
	}}
	// 60 % have the status; the deep page must be full.
	w.deepPage = min(4000, s.largeOrders()*6/10/pageSize-2)
	for _, c := range w.contestants {
		if err := w.walk(ctx, c); err != nil {
			return nil, fmt.Errorf("walk to page %d of %s: %w", w.deepPage, c.name, err)
		}
	}
	return w, w.compare(ctx)
}

// walk follows the list to the deep page, in the largest steps that end there.
func (w *work) walk(ctx context.Context, c *contestant) error {
	conn, err := dial(ctx, c.addr)
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	skip := (w.deepPage - 1) * pageSize
	if c.process == w.rival { // its cursor is the id of the row before: the listed ones are 6 of each 10 of the tenant's
		c.deep = w.listedBefore(skip)
		return nil
	}
	const largest = 100
	for skip > 0 {
		limit := min(skip, largest)
		if limit > pageSize && limit < largest {
			limit = pageSize
		}
		path := ordersPath + "?status=" + listed + "&limit=" + strconv.Itoa(limit)
		if c.deep != "" {
			path += "&cursor=" + c.deep
		}
		status, err := conn.do(get(path, c.token))
		if err != nil {
			return err
		}
		var page struct {
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal(conn.body, &page); err != nil || status != http.StatusOK || page.Next == "" {
			return fmt.Errorf("%d: %.500s", status, conn.body)
		}
		c.deep, skip = page.Next, skip-limit
	}
	return nil
}

// listedBefore is the id of the last listed row before a page that skips so many.
func (w *work) listedBefore(skip int) string {
	for i := w.largeOrders(); i > 0; i-- {
		if i%10 < 6 { // as the loading SQL has it: the status goes by (i / 5) % 10, i being five times this one
			if skip--; skip == 0 {
				return idOf(i * largeShare)
			}
		}
	}
	return ""
}

// compare fails where the rival does not answer what the API does: the same order, and the same rows on both pages.
func (w *work) compare(ctx context.Context) error {
	id := w.someOrder()
	var answers [2][3]any
	for n, c := range w.contestants[:2] {
		conn, err := dial(ctx, c.addr)
		if err != nil {
			return err
		}
		for k, path := range []string{ordersPath + "/" + id, listPath(""), listPath(c.deep)} {
			status, err := conn.do(get(path, c.token))
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("%s of %s: %d: %.500s (%w)", path, c.name, status, conn.body, err)
			}
			var body map[string]any
			if err := json.Unmarshal(conn.body, &body); err != nil {
				return fmt.Errorf("%s of %s: %w", path, c.name, err)
			}
			answers[n][k] = body
			if rows, ok := body["data"].([]any); ok {
				answers[n][k] = rows
				if len(rows) != pageSize {
					return fmt.Errorf("%s of %s: %d rows", path, c.name, len(rows))
				}
			}
		}
		_ = conn.conn.Close()
	}
	for k := range answers[0] {
		if !reflect.DeepEqual(answers[0][k], answers[1][k]) {
			return fmt.Errorf("the contestants do not answer the same:\n%v\n%v", answers[0][k], answers[1][k])
		}
	}
	return nil
}

func listPath(cursor string) string {
	path := ordersPath + "?status=" + listed
	if cursor != "" {
		path += "&cursor=" + cursor
	}
	return path
}

func (w *work) someOrder() string {
	return idOf((1 + rand.IntN(w.largeOrders())) * largeShare) //nolint:gosec // guards nothing
}

// kinds are the rows of the table.
func (w *work) kinds() []kind {
	tenant := "'" + w.tenant + "'"
	id := `\set i ` + strconv.Itoa(largeShare) + ` * random(1, ` + strconv.Itoa(w.largeOrders()) + ")\n"
	sql := func(text string, args ...string) string {
		for n := len(args); n > 0; n-- { // $1 is the beginning of $12
			text = strings.ReplaceAll(text, "$"+strconv.Itoa(n), args[n-1])
		}
		return strings.ReplaceAll(text, "\n", " ") + ";\n"
	}
	deep := "'" + w.contestants[1].deep + "'"
	limit := strconv.Itoa(pageSize + 1)
	lines := `'[{"sku": "SKU-1", "quantity": 2, "description": "Something that is sold", "discount_bp": 0, "total_cents": 2400, "unit_price_cents": 1200},` +
		` {"sku": "SKU-2", "quantity": 1, "description": "Something else", "discount_bp": 500, "total_cents": 855, "unit_price_cents": 900}]'`
	create := func(number string) string {
		return sql(createSQL, tenant, "gen_random_uuid()", "1", "now()", "now()", "NULL", "'"+customerOf(1)+"'", number, "'EUR'", "'draft'",
			"NULL", "NULL", "NULL", "NULL", "''", "3255", lines, "'{}'", "'{}'")
	}
	random := "\\set a random(1, 9000000000000000000)\n"
	return []kind{
		{
			name: "one by id", status: http.StatusOK,
			request: func(c *contestant) []byte { return get(ordersPath+"/"+w.someOrder(), c.token) },
			script:  id + sql(oneSQL, tenant, orderID(":i")), checked: true,
		},
		{
			name: "list of 25 by status, page 1", status: http.StatusOK, alone: true,
			request: func(c *contestant) []byte { return get(listPath(""), c.token) },
			script:  sql(firstSQL, tenant, "'"+listed+"'", limit), checked: true,
		},
		{
			name: fmt.Sprintf("list of 25 by status, page %d", w.deepPage), status: http.StatusOK, alone: true,
			request: func(c *contestant) []byte { return get(listPath(c.deep), c.token) },
			script:  sql(nextSQL, tenant, "'"+listed+"'", limit, deep), checked: true,
		},
		{
			name: "create, number given", status: http.StatusCreated,
			request: func(c *contestant) []byte { return post(ordersPath, c.token, w.newOrder(w.number(c))) },
			script:  random + create("'P' || :a::bigint"),
		},
		{
			name: "create, number in turn", status: http.StatusCreated,
			request: func(c *contestant) []byte { return post(ordersPath, c.token, w.newOrder("")) },
		},
		{
			name: "bulk of 1,000 creates", status: http.StatusOK, bulk: true,
			request: func(c *contestant) []byte {
				var body bytes.Buffer
				body.WriteString(`{"mode":"create","atomic":true,"items":[`)
				for n := range bulkSize {
					if n > 0 {
						body.WriteByte(',')
					}
					body.WriteString(w.newOrder(w.number(c)))
				}
				body.WriteString("]}")
				return post(ordersPath+"/bulk", c.token, body.String())
			},
		},
	}
}

// number is one that no order has.
func (w *work) number(c *contestant) string {
	return strings.ToUpper(c.name[:1]) + strconv.FormatInt(w.made.Add(1), 10)
}

// newOrder is an order of two lines for a customer at random; number may be "".
func (w *work) newOrder(number string) string {
	if number != "" {
		number = `"number":"` + number + `",`
	}
	customer := customerOf(1 + rand.IntN(w.largeCustomers())) //nolint:gosec // guards nothing
	return `{"customer_id":"` + customer + `",` + number + `"currency":"EUR","lines":[` +
		`{"sku":"SKU-1","description":"Something that is sold","quantity":2,"unit_price_cents":1200},` +
		`{"sku":"SKU-2","description":"Something else","quantity":1,"unit_price_cents":900,"discount_bp":500}]}`
}
