package jobs_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

func creating(file tenancy.ID) transfers.ImportRequest {
	return transfers.ImportRequest{Resource: "customers", FileID: file, Mode: resource.BulkCreate}
}

//nolint:paralleltest,tparallel // they share an organization, one after the other
func TestImport(t *testing.T) {
	t.Parallel()
	s := newImportStand(t)

	t.Run("goes_by_names_and_aliases_and_tells_of_each_bad_row", func(t *testing.T) {
		file := s.upload(t, "people.csv", "\xef\xbb\xbfCustomer Number;Company Name;E-Mail;Tags;custom.city;Shoe size;version\r\n"+
			"A1;Anna & Co;Anna@Example.com;vip,new;Köln;38;7\r\n"+
			"A2;\"Two\nlines; and \"\"marks\"\"\";;;;;\r\n"+
			"\r\n"+
			"A3;No Mail;nonsense;;;;\r\n"+
			"A4;Short\r\n"+
			"A5;;;;;;\r\n"+
			"A1;Again;;;;;\r\n"+
			"A6;'=1+1;;;;;\r\n")
		r := s.run(t, creating(file))
		assert.Equal(t, transfers.ImportCounts{Rows: 7, Created: 2, Failed: 5}, r.ImportCounts)
		assert.Equal(t, []string{"Shoe size", "version"}, r.IgnoredColumns)
		var told []string
		for _, e := range r.Errors {
			told = append(told, fmt.Sprintf("%d|%s|%s|%s", e.Row, e.Column, e.Value, e.Code))
		}
		assert.Equal(t, []string{
			"3|Company Name|Two\nlines; and \"marks\"|printable", "5|E-Mail|n***|email", "6|||ragged", "7|Company Name||notblank",
			"8|Customer Number|A1|customer.code_taken",
		}, told)
		annotated := s.read(t, r.ErrorsFileID)
		assert.Contains(t, annotated, "Customer Number,Company Name,E-Mail,Tags,custom.city,Shoe size,version,import_row,import_column,import_reason\n")
		assert.Contains(t, annotated, "A3,No Mail,nonsense,,,,,5,E-Mail,E-Mail is not an e-mail address")
		assert.Equal(t, []string{"A1|Anna & Co|anna@example.com|{vip,new}|{\"city\": \"Köln\"}", "A6|=1+1||{}|{}"}, s.texts(t,
			"select concat_ws('|', code, name, coalesce(email, ''), tags::text, custom::text) from customers where code like 'A%' order by code"))
		assert.Equal(t, []string{"2"}, s.texts(t, "select count(*)::text from audit_events where action = 'customer.created'"))
	})

	t.Run("changes_by_a_unique_field_only_what_differs", func(t *testing.T) {
		first := s.upload(t, "u.csv", "code,name\nU1,One\nU2,Two\n")
		request := creating(first)
		request.Mode, request.By = resource.BulkUpsert, "code"
		assert.Equal(t, transfers.ImportCounts{Rows: 2, Created: 2}, s.run(t, request).ImportCounts)
		request.FileID = s.upload(t, "u.csv", "code,name\nU1,One\nU2,Twice\nU3,Three\nU3,Thrice\n")
		assert.Equal(t, transfers.ImportCounts{Rows: 4, Created: 1, Updated: 2, Unchanged: 1}, s.run(t, request).ImportCounts)
		assert.Equal(t, []string{"One|1", "Twice|2", "Thrice|2"}, s.texts(t, "select name || '|' || version from customers where code like 'U%' order by code"))
	})

	t.Run("keeps_nothing_in_a_dry_run_or_where_it_is_atomic_and_a_row_is_bad", func(t *testing.T) {
		request := creating(s.upload(t, "d.csv", "code,name\nD1,One\nD1,Twice\nD2,Two\n"))
		request.DryRun = true
		r := s.run(t, request)
		assert.Equal(t, transfers.ImportCounts{Rows: 3, Created: 2, Failed: 1}, r.ImportCounts)
		assert.Contains(t, s.read(t, r.ErrorsFileID), "D1,Twice,3,code,")
		request.DryRun, request.Atomic = false, true
		r = s.run(t, request)
		assert.True(t, r.Refused)
		assert.Equal(t, transfers.ImportCounts{Rows: 3, Failed: 1}, r.ImportCounts)
		assert.Empty(t, s.texts(t, "select code from customers where code like 'D%'"))
		request.FileID = s.upload(t, "d.csv", "code,name\nD1,One\nD2,Two\n")
		assert.Equal(t, transfers.ImportCounts{Rows: 2, Created: 2}, s.run(t, request).ImportCounts)
		assert.Equal(t, []string{"D1", "D2"}, s.texts(t, "select code from customers where code like 'D%' order by code"))
	})
}

func TestImport_goes_on_where_it_was_cut_off(t *testing.T) {
	t.Parallel()
	s := newImportStand(t)
	var text strings.Builder
	text.WriteString("code,name\n")
	for n := range 5600 {
		name := fmt.Sprintf("Name %d", n)
		if n%700 == 0 {
			name = ""
		}
		fmt.Fprintf(&text, "C%d,%s\n", n, name)
	}
	run := s.ask(t, creating(s.upload(t, "c.csv", text.String())))
	for range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		cut := s.job(t, run.Job.ID)
		cut.Report = func(jobs.Progress) { cancel() }
		require.Error(t, s.handler.Run(ctx, cut), "it was cut off behind its first batch")
		cancel()
	}
	require.NoError(t, s.handler.Run(t.Context(), run))
	r := resultOf(t, run)
	assert.Equal(t, transfers.ImportCounts{Rows: 5600, Created: 5592, Failed: 8}, r.ImportCounts)
	assert.Equal(t, []string{"5592|5592"}, s.texts(t, "select count(*) || '|' || count(distinct code) from customers"))
	assert.Equal(t, 9, strings.Count(s.read(t, r.ErrorsFileID), "\n"))
	require.NoError(t, s.handler.Run(t.Context(), run), "a job whose end was lost runs again")
	assert.Equal(t, r, resultOf(t, run))
	assert.Equal(t, []string{"5592"}, s.texts(t, "select count(*)::text from customers"))
}

func TestImport_of_orders_with_their_lines(t *testing.T) {
	t.Parallel()
	s := newImportStand(t)
	northwind := func(name string) tenancy.ID {
		data, err := os.ReadFile("../../../deployments/demo/northwind/" + name)
		require.NoError(t, err)
		return s.upload(t, name, string(data))
	}
	r := s.run(t, transfers.ImportRequest{
		Resource: "customers", FileID: northwind("customers.csv"), Mode: resource.BulkUpsert, By: "code",
		Mapping: map[string]any{
			"code": "customerID", "name": "companyName", "custom.city": "city",
			"tags": []any{map[string]any{"column": "country", "case": "lower"}, map[string]any{"column": "contactTitle", "values": map[string]any{"Owner": "owner", "*": ""}}},
		},
	})
	assert.Equal(t, transfers.ImportCounts{Rows: 91, Created: 91}, r.ImportCounts, "%v", r.Errors)
	request := transfers.ImportRequest{
		Resource: "orders", FileID: northwind("orders.csv"), Mode: resource.BulkUpsert, By: "number",
		Mapping: map[string]any{
			"number": "orderID", "customer_id": map[string]any{"column": "customerID", "lookup": "customers.code"},
			"currency": map[string]any{"value": "USD"}, "placed_at": "orderDate", "shipped_at": "shippedDate",
			"status":           map[string]any{"column": "shippedDate", "values": map[string]any{"": "placed", "*": "shipped"}},
			"custom.ship_name": "shipName",
			"lines": map[string]any{"file_id": northwind("order-details.csv").String(), "key": "orderID", "fields": map[string]any{
				"sku": "productID", "quantity": "quantity",
				"unit_price_cents": map[string]any{"column": "unitPrice", "scale": 2.0},
				"discount_bp":      map[string]any{"column": "discount", "scale": 4.0},
			}},
		},
	}
	r = s.run(t, request)
	assert.Equal(t, transfers.ImportCounts{Rows: 830, Created: 830}, r.ImportCounts, "%v", r.Errors)
	assert.Equal(t, []string{"1996 20808399", "1997 61708535", "1998 44062395"},
		s.texts(t, "select extract(year from placed_at at time zone 'UTC') || ' ' || sum(total_cents) from orders group by extract(year from placed_at at time zone 'UTC') order by 1"))
	r = s.run(t, request)
	assert.Equal(t, transfers.ImportCounts{Rows: 830, Unchanged: 830}, r.ImportCounts)
}

func TestImport_of_a_workbook_and_of_lines_in_any_order(t *testing.T) {
	t.Parallel()
	s := newImportStand(t)
	s.run(t, creating(s.upload(t, "c.csv", "code,name\nX,Anna\n")))
	mapping := func(lines map[string]any) map[string]any {
		lines["fields"] = map[string]any{"sku": "sku", "quantity": "quantity", "unit_price_cents": map[string]any{"value": "100"}}
		return map[string]any{
			"number": "number", "customer_id": map[string]any{"value": "X", "lookup": "customers.code"}, "currency": map[string]any{"value": "eur"}, "lines": lines,
		}
	}
	data, err := os.ReadFile("../../../domain/transfers/testdata/excelize.xlsx")
	require.NoError(t, err)
	request := transfers.ImportRequest{
		Resource: "orders", FileID: s.upload(t, "orders.xlsx", string(data)), Mode: resource.BulkCreate,
		Mapping: mapping(map[string]any{"sheet": "lines", "key": "number"}),
	}
	r := s.run(t, request)
	assert.Equal(t, transfers.ImportCounts{Rows: 2, Created: 2}, r.ImportCounts, "%v", r.Errors)
	assert.Equal(t, []string{"A-1 CHAI 2 200", "A-2 TEA 1 100"}, s.texts(t,
		"select number || ' ' || (lines::jsonb->0->>'sku') || ' ' || (lines::jsonb->0->>'quantity') || ' ' || total_cents from orders order by number"))

	request.FileID = s.upload(t, "o.csv", "number\nB-1\nB-2\nB-3\n")
	request.Mapping = mapping(map[string]any{
		"file_id": s.upload(t, "l.csv", "of;sku;quantity\nB-9;LOST;1\nB-2;D;1\nB-1;A;1\n;NOBODY;1\nB-2;E;many\nB-1;B;2\nB-1;C;3\n").String(),
		"key":     "of", "parent": "number",
	})
	r = s.run(t, request)
	assert.Equal(t, transfers.ImportCounts{Rows: 5, Created: 1, Failed: 4}, r.ImportCounts)
	var told []string
	for _, e := range r.Errors {
		told = append(told, fmt.Sprintf("%s %d %s %s %s", e.Part, e.Row, e.Column, e.Value, e.Code))
	}
	assert.Equal(t, []string{"lines 6 quantity many integer", " 4 lines  min", "lines 2   not_found", "lines 5 of  required"}, told)
	assert.Equal(t, []string{"A,B,C"}, s.texts(t, `select (select string_agg(l->>'sku', ',' order by n) from jsonb_array_elements(lines::jsonb) with ordinality x (l, n))
		from orders where number = 'B-1'`))
	assert.Contains(t, s.read(t, r.ErrorsFileID), "B-2,3,lines.quantity,row 6 of lines: quantity is no number; write it as 1234")
}

func TestImport_that_is_cancelled_goes_on_by_another_job(t *testing.T) {
	t.Parallel()
	s := newImportStand(t)
	var text strings.Builder
	text.WriteString("code,name\n")
	for n := range 1200 {
		text.WriteString(fmt.Sprintf("C%d,Name\n", n))
	}
	first := s.ask(t, creating(s.upload(t, "c.csv", text.String())))
	ctx, cancel := context.WithCancel(t.Context())
	first.Report = func(jobs.Progress) { cancel() }
	require.Error(t, s.handler.Run(ctx, first))
	_, err := s.queue.CancelJob(t.Context(), s.scope, first.Job.ID, time.Now())
	require.NoError(t, err)
	id, err := s.asks.Resume(t.Context(), s.scope, first.Job.ID)
	require.NoError(t, err)
	second := s.job(t, id)
	require.NoError(t, s.handler.Run(t.Context(), second))
	assert.Equal(t, transfers.ImportCounts{Rows: 1200, Created: 1200}, resultOf(t, second).ImportCounts)
	assert.Equal(t, []string{"1200"}, s.texts(t, "select count(*)::text from customers"))
}

func TestImport_whose_attempts_meet_keeps_each_row_once(t *testing.T) {
	t.Parallel()
	s := newImportStand(t)
	var text strings.Builder
	text.WriteString("code,name\n")
	for n := range 1700 {
		text.WriteString(fmt.Sprintf("C%d,Name\n", n))
	}
	run := s.ask(t, creating(s.upload(t, "c.csv", text.String())))
	ended := make(chan error, 3)
	for range 3 {
		again := s.job(t, run.Job.ID)
		go func() { ended <- s.handler.Run(t.Context(), again) }()
	}
	good := 0
	for range 3 {
		if err := <-ended; err == nil {
			good++
		} else {
			require.ErrorIs(t, err, transfers.ErrImportMoved)
		}
	}
	assert.Positive(t, good)
	assert.Equal(t, []string{"1700"}, s.texts(t, "select count(*)::text from customers"))
}

func TestImport_of_what_is_no_table(t *testing.T) {
	t.Parallel()
	s := newImportStand(t)
	for text, want := range map[string]string{
		"a,a\n1,2\n":                         "import.columns: The columns 1 and 2 of the file are both named \"a\"",
		"\n\n":                               "import.empty",
		"x,y\n1,2\n":                         "import.columns: No column is named as a field of a customer is",
		"code,na\xffme\n":                    "import.columns: The first row of the file, which names the columns, is not in the encoding",
		strings.Repeat("code,", 5000) + "\n": "has more than 1000 columns",
	} {
		run := s.ask(t, creating(s.upload(t, "x.csv", text)))
		err := s.handler.Run(t.Context(), run)
		require.ErrorContains(t, err, want)
		state, _ := jobs.Decide(s.handler.Kind, err, 1, 10, time.Now())
		assert.Equal(t, jobs.Dead, state, want)
	}
	request := creating(s.upload(t, "x.csv", "code,name\nA,B\n"))
	request.Mapping = map[string]any{"name": "Nom"}
	require.ErrorContains(t, s.handler.Run(t.Context(), s.ask(t, request)), `names the column "Nom", which the file does not have; its columns are: code, name.`)

	broken := creating(s.upload(t, "x.csv", "code,name\nA,Anna\nB,\""+strings.Repeat("x,y\n", 300_000)))
	r := s.run(t, broken)
	assert.True(t, r.Incomplete)
	assert.Equal(t, transfers.ImportCounts{Rows: 2, Created: 1, Failed: 1}, r.ImportCounts)
	assert.Equal(t, "import.row_too_long", r.Errors[0].Code)
}
