package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExports(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)

	t.Run("are_jobs_of_who_asked", func(t *testing.T) {
		t.Parallel()
		a := o.must(t, http.StatusAccepted, http.MethodPost, "/exports", `{"resource":"orders","format":"xlsx","sort":"-placed_at",
			"fields":["number","lines"],"filter":{"status":["paid","placed"],"total_cents[gte]":100,"trashed":"with"}}`)
		id := a.text("job_id")
		assert.Equal(t, "/api/v1/jobs/"+id, a.header.Get("Location"))
		job := o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+id, nil)
		assert.Equal(t, "transfers.export", job.text("kind"))
		assert.Equal(t, "pending", job.text("state"))
		assert.Equal(t, map[string]any{
			"resource": "orders", "format": "xlsx", "sort": "-placed_at", "fields": []any{"number", "lines"},
			"filter":   map[string]any{"status": "paid,placed", "total_cents[gte]": "100", "trashed": "with"},
			"asked_by": o.user, "asked_as": "user",
		}, job.at("args"))
		o.must(t, http.StatusOK, http.MethodPost, "/jobs/"+id+"/cancel", nil)
	})
	t.Run("are_one_job_for_one_idempotency_key", func(t *testing.T) {
		t.Parallel()
		c := o.with("Idempotency-Key", "one-export")
		first := c.must(t, http.StatusAccepted, http.MethodPost, "/exports", `{"resource":"orders","format":"csv"}`)
		again := c.must(t, http.StatusAccepted, http.MethodPost, "/exports", `{"resource":"orders","format":"csv"}`)
		assert.Equal(t, first.text("job_id"), again.text("job_id"))
	})
	t.Run("carry_the_trace_of_the_request", func(t *testing.T) {
		t.Parallel()
		const id = "0af7651916cd43dd8448eb211c80319c"
		c := o.with("Traceparent", "00-"+id+"-b7ad6b7169203331-01")
		job := c.must(t, http.StatusAccepted, http.MethodPost, "/exports", `{"resource":"orders","format":"csv"}`).text("job_id")
		var kept string
		require.NoError(t, s.Admin(t).QueryRow(t.Context(), "select trace from jobs where id = $1", job).Scan(&kept))
		assert.Equal(t, id+"-01", kept)
		assert.Contains(t, s.logs.String(), `"trace_id":"`+id+`"`)
	})
	t.Run("need_the_permission_to_read", func(t *testing.T) {
		t.Parallel()
		key := o.key(t, "customers:read", "jobs:read")
		a := key.must(t, http.StatusAccepted, http.MethodPost, "/exports", `{"resource":"customers","format":"jsonl"}`)
		assert.Equal(t, "api_key", key.must(t, http.StatusOK, http.MethodGet, "/jobs/"+a.text("job_id"), nil).text("args", "asked_as"))
		denied := key.refused(t, http.StatusForbidden, "permission_denied", http.MethodPost, "/exports", `{"resource":"orders","format":"csv"}`)
		assert.Contains(t, denied.text("detail"), "orders:read")
	})
	t.Run("refuse_at_once_what_the_list_refuses", func(t *testing.T) {
		t.Parallel()
		a := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/exports",
			`{"resource":"orders","format":"csv","sort":"note","fields":["secret"],"filter":{"colour":"red","placed_at":"soon","limit":3}}`)
		listed := o.refused(t, http.StatusBadRequest, "invalid_query", http.MethodGet, "/orders?sort=note&fields=secret&colour=red&placed_at=soon", nil)
		details := func(a answer) map[string]any {
			all := map[string]any{}
			list, _ := a.at("errors").([]any)
			for i := range list {
				pointer := strings.TrimPrefix(strings.TrimPrefix(a.text("errors", i, "pointer"), "/filter"), "/")
				all[pointer] = a.at("errors", i, "detail")
			}
			return all
		}
		got := details(a)
		assert.Contains(t, got["limit"], "a list's")
		delete(got, "limit")
		assert.Equal(t, details(listed), got)
		assert.Empty(t, o.must(t, http.StatusOK, http.MethodGet, "/jobs?state=dead,succeeded", nil).at("data"))
	})
	t.Run("answer_no_500_whatever_is_sent", func(t *testing.T) {
		t.Parallel()
		values := func(text string, n int) string {
			list := make([]string, n)
			for i := range list {
				list[i] = text
			}
			data, err := json.Marshal(list)
			require.NoError(t, err)
			return string(data)
		}
		for _, body := range []string{
			`{}`, `[]`, `null`, `{"resource":null,"format":null}`, `{"resource":"orders","format":1}`,
			`{"resource":"orders","format":"csv","filter":[]}`, `{"resource":"orders","format":"csv","filter":{"status":{"a":[]}}}`,
			`{"resource":"orders","format":"csv","filter":{"":""}}`, `{"resource":"orders","format":"csv","filter":{"custom.":"x","custom.\u0000":"x"}}`,
			`{"resource":"orders","format":"csv","filter":{"number":"\u0000","note":"\ud800"}}`,
			`{"resource":"orders","format":"csv","filter":{"total_cents":1e400,"total_cents[gt]":1.5,"placed_at":0}}`,
			`{"resource":"orders","format":"csv","fields":[null]}`, `{"resource":"orders","format":"csv","fields":[]}`,
			`{"resource":"orders","format":"csv","fields":` + values("number", 1000) + `}`,
			`{"resource":"orders","format":"csv","sort":"` + strings.Repeat("id,", 10000) + `"}`,
			`{"resource":"orders","format":"csv","filter":{"number":` + values(strings.Repeat("<", 900), 100) + `}}`,
			`{"resource":"orders","format":"csv","filter":{"number":` + values("x", 5000) + `}}`,
			`{"resource":"../orders","format":"csv"}`, `{"resource":"orders","format":"csv","expand":"customer"}`,
		} {
			a := o.do(t, http.MethodPost, "/exports", body)
			assert.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, a.status, "%.200s answered %s", body, a.raw)
		}
	})
}
