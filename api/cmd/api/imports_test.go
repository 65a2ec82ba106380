package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// importing asks for an import and returns its job.
func (o owner) importing(tb testing.TB) string {
	tb.Helper()
	file := o.upload(tb, "secret.csv", "code,name\nS1,A secret\n").text("id")
	return o.must(tb, http.StatusAccepted, http.MethodPost, "/imports", map[string]any{
		"resource": "customers", "file_id": file, "mode": "create",
	}).text("job_id")
}

func TestImports(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o, other := s.signUp(t), s.signUp(t)
	file := o.upload(t, "customers.csv", "code,name\nA,Anna\n").text("id")
	picture := o.upload(t, "a.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR").text("id")

	t.Run("answer_with_the_job", func(t *testing.T) {
		t.Parallel()
		a := o.must(t, http.StatusAccepted, http.MethodPost, "/imports", map[string]any{
			"resource": "customers", "file_id": file, "mode": "upsert", "by": "code", "dry_run": true,
			"format": map[string]any{"decimal": ",", "date": "DD.MM.YYYY"}, "mapping": map[string]any{"code": "code", "name": map[string]any{"column": "name"}},
		})
		assert.Equal(t, "/api/v1/jobs/"+a.text("job_id"), a.header.Get("Location"))
		job := o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+a.text("job_id"), nil)
		assert.Equal(t, "transfers.import", job.text("kind"))
		assert.Equal(t, "transfers", job.text("queue"))
	})

	t.Run("name_all_that_is_wrong_at_once", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			body string
			want []string
		}{
			"resource":  {`{"resource":"invoices","file_id":"` + file + `","mode":"create"}`, []string{"/resource oneof"}},
			"nothing":   {`{}`, []string{"/resource oneof"}},
			"mode":      {`{"resource":"customers","file_id":"` + file + `","mode":"merge"}`, []string{"/mode oneof"}},
			"by":        {`{"resource":"customers","file_id":"` + file + `","mode":"upsert","by":"name"}`, []string{"/by oneof"}},
			"no by":     {`{"resource":"customers","file_id":"` + file + `","mode":"upsert"}`, []string{"/by required"}},
			"a picture": {`{"resource":"customers","file_id":"` + picture + `","mode":"create"}`, []string{"/file_id content_type"}},
			"no file":   {`{"resource":"customers","file_id":"` + tenancy.NewID().String() + `","mode":"create"}`, []string{"/file_id not_found"}},
			"format": {
				`{"resource":"customers","file_id":"` + file + `","mode":"create","format":{"decimal":",","thousands":",","date":"YY","time_zone":"Mars","encoding":"ebcdic","separator":"x"}}`,
				[]string{
					"/format/separator oneof", "/format/encoding oneof", "/format/thousands range", "/format/time_zone timezone", "/format/date format",
				},
			},
			"mapping": {
				`{"resource":"orders","file_id":"` + file + `","mode":"create","mapping":{"id":"a","total_cents":"b","nope":"c","number":5,"note":{},` +
					`"customer_id":{"column":"x","lookup":"customers.name"},"currency":{"column":"x","scale":2},"tags":[{"column":"x","odd":1}],` +
					`"lines":{"fields":{"sku":"a","nope":"b","total_cents":"c"}},"custom.":"x","number.x":"y"}}`,
				[]string{
					"/mapping/currency/scale range", "/mapping/custom. unknown_field", "/mapping/customer_id/lookup oneof", "/mapping/id read_only",
					"/mapping/lines/fields/nope unknown_field", "/mapping/lines/fields/total_cents read_only", "/mapping/lines/key required",
					"/mapping/lines required", "/mapping/nope unknown_field", "/mapping/note required", "/mapping/number type",
					"/mapping/number.x unknown_field", "/mapping/tags/0/odd unknown_field", "/mapping/total_cents read_only",
				},
			},
			"empty mapping": {`{"resource":"customers","file_id":"` + file + `","mode":"create","mapping":{}}`, []string{"/mapping required"}},
			"huge mapping": {
				`{"resource":"customers","file_id":"` + file + `","mode":"create","mapping":{"name":"` + strings.Repeat("x", 40_000) + `"}}`,
				[]string{"/mapping max"},
			},
		} {
			a := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/imports", c.body)
			var p struct {
				Errors []struct{ Pointer, Code, Detail string }
			}
			require.NoError(t, json.Unmarshal([]byte(a.raw), &p))
			var got []string
			for _, e := range p.Errors {
				got = append(got, e.Pointer+" "+e.Code)
				assert.NotEmpty(t, e.Detail)
			}
			for _, want := range c.want {
				assert.Contains(t, got, want, name)
			}
		}
	})

	t.Run("take_nobody_elses_file_and_no_more_than_may_be_written", func(t *testing.T) {
		t.Parallel()
		body := map[string]any{"resource": "customers", "file_id": file, "mode": "create"}
		a := other.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/imports", body)
		assert.Equal(t, "/file_id", a.text("errors", 0, "pointer"))
		o.key(t, "files:read", "customers:read").refused(t, http.StatusForbidden, "permission_denied", http.MethodPost, "/imports", body)
		o.key(t, "customers:write").refused(t, http.StatusForbidden, "permission_denied", http.MethodPost, "/imports", body)
		history := map[string]any{"resource": "orders", "file_id": file, "mode": "create", "mapping": map[string]any{"placed_at": "name"}}
		a = o.key(t, "files:read", "orders:write").refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/imports", history)
		assert.Equal(t, "/mapping/placed_at", a.text("errors", 0, "pointer"))
		o.key(t, "files:read", "orders:write", "orders:backfill").must(t, http.StatusAccepted, http.MethodPost, "/imports", history)
	})

	t.Run("are_resumed_once_they_have_stopped", func(t *testing.T) {
		t.Parallel()
		job := o.importing(t)
		o.refused(t, http.StatusConflict, "import.not_resumable", http.MethodPost, "/imports/"+job+"/resume", nil)
		o.must(t, http.StatusOK, http.MethodPost, "/jobs/"+job+"/cancel", nil)
		a := o.must(t, http.StatusAccepted, http.MethodPost, "/imports/"+job+"/resume", nil)
		assert.NotEqual(t, job, a.text("job_id"))
		before, after := o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+job, nil), o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+a.text("job_id"), nil)
		assert.Equal(t, before.text("args", "import_id"), after.text("args", "import_id"))
		again := o.must(t, http.StatusAccepted, http.MethodPost, "/imports/"+job+"/resume", nil)
		assert.Equal(t, a.text("job_id"), again.text("job_id"), "two jobs would not work at one import")
		o.refused(t, http.StatusNotFound, "job.not_found", http.MethodPost, "/imports/"+o.enqueue(t, chore{Name: "other"}).String()+"/resume", nil)
	})
}
