package transfers_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// noQueue is for what is refused before anything is enqueued.
type noQueue struct{}

func (noQueue) Enqueue(context.Context, tenancy.Scope, ...jobs.New) ([]jobs.Enqueued, error) {
	panic("nothing is to be enqueued")
}

func TestExports_Read(t *testing.T) {
	t.Parallel()
	x := transfers.NewExports(catalog.All(), noQueue{})
	t.Run("takes_what_the_list_takes", func(t *testing.T) {
		t.Parallel()
		e, err := x.Read(transfers.ExportInput{
			Resource: "orders", Format: transfers.XLSX, Fields: []string{"number", "lines"}, Sort: "-placed_at",
			Filter: map[string]any{
				"status": []any{"paid", "placed"}, "total_cents[gte]": json.Number("100"), "tags[any]": []any{"a,b", `c\d`},
				"q": "chai", "trashed": "with", "custom.vip": true,
			},
		})
		require.NoError(t, err)
		assert.Equal(t, map[string]string{
			"status": "paid,placed", "total_cents[gte]": "100", "tags[any]": `a\,b,c\\d`, "q": "chai", "trashed": "with", "custom.vip": "true",
		}, e.Filter)
		assert.Equal(t, "orders:read", e.Permission())
	})
	t.Run("names_every_mistake_where_it_stands", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			in   transfers.ExportInput
			want map[string]string
		}{
			"nothing": {transfers.ExportInput{}, map[string]string{"/resource": "oneof", "/format": "oneof"}},
			"unknown": {
				transfers.ExportInput{Resource: "users", Format: "pdf"}, map[string]string{"/resource": "oneof", "/format": "oneof"},
			},
			"the list's own": {
				transfers.ExportInput{
					Resource: "orders", Format: transfers.CSV, Fields: []string{"number", "password"}, Sort: "note",
					Filter: map[string]any{
						"colour": "red", "total_cents[gte]": "much", "status[like]": "x", "trashed": "all", "placed_at": "yesterday", "a/b~c": "1",
					},
				},
				map[string]string{
					"/fields": "fields", "/sort": "sort", "/filter/colour": "unknown_parameter", "/filter/total_cents[gte]": "value",
					"/filter/status[like]": "operator", "/filter/trashed": "trashed", "/filter/placed_at": "value",
					"/filter/a~1b~0c": "unknown_parameter",
				},
			},
			"what is no filter": {
				transfers.ExportInput{
					Resource: "orders", Format: transfers.CSV, Fields: []string{},
					Filter: map[string]any{
						"limit": json.Number("5"), "cursor": "x", "expand": "customer", "fields": "id", "sort": "id",
						"status": map[string]any{"a": "b"}, "tags[any]": []any{[]any{"x"}}, "number": nil,
					},
				},
				map[string]string{
					"/fields": "min", "/filter/limit": "value", "/filter/cursor": "value", "/filter/expand": "value", "/filter/fields": "value",
					"/filter/sort": "value", "/filter/status": "value", "/filter/tags[any]": "value", "/filter/number": "value",
				},
			},
			"hostile": {
				transfers.ExportInput{
					Resource: "customers", Format: transfers.JSONL, Fields: []string{"id,name"},
					Filter: map[string]any{"name": "\x00", "code": "\xff", "email": strings.Repeat("x", 1001), "q": "   "},
				},
				map[string]string{
					"/fields/0": "fields", "/filter/name": "value", "/filter/code": "value", "/filter/email": "value", "/filter/q": "value",
				},
			},
		} {
			_, err := x.Read(c.in)
			f, ok := fault.As(err)
			require.True(t, ok, name)
			assert.Equal(t, fault.Invalid, f.Kind)
			got := map[string]string{}
			for _, v := range f.Violations {
				got[v.Pointer] = v.Code
				assert.NotEmpty(t, v.Detail)
			}
			assert.Equal(t, c.want, got, name)
		}
	})
	t.Run("refuses_what_no_job_can_be_told", func(t *testing.T) {
		t.Parallel()
		values := make([]any, 100)
		for i := range values {
			values[i] = strings.Repeat("<", 990)
		}
		_, err := x.Read(transfers.ExportInput{Resource: "orders", Format: transfers.CSV, Filter: map[string]any{"number": values}})
		require.True(t, fault.Is(err, "validation_failed"), "%v", err)
	})
	t.Run("makes_arguments_that_fit_a_job", func(t *testing.T) {
		t.Parallel()
		values := make([]any, 60)
		for i := range values {
			values[i] = strings.Repeat("n", 1000)
		}
		e, err := x.Read(transfers.ExportInput{Resource: "orders", Format: transfers.CSV, Filter: map[string]any{"number": values}})
		require.NoError(t, err)
		e.AskedBy, e.AskedAs = tenancy.NewID(), tenancy.APIKey
		_, err = jobs.Of(e)
		require.NoError(t, err)
	})
}
