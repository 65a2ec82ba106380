package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// connector makes a connector and returns the answer.
func (o owner) connector(tb testing.TB, change map[string]any) answer {
	tb.Helper()
	body := map[string]any{
		"kind": "rest", "resource": "customers", "name": "Secret CRM", "url": aReceiver + "/contacts", "by": "code",
		"auth_header": "authorization", "auth_value": "Bearer sesame", "mapping": map[string]any{"code": "id", "name": "company.name"},
		"settings": map[string]any{"records": "data", "paging": "page"}, "schedule": map[string]any{"daily_at": "02:30"},
	}
	maps.Copy(body, change)
	return o.must(tb, http.StatusCreated, http.MethodPost, "/connectors", body)
}

func TestConnectors(t *testing.T) {
	t.Parallel()
	s := newStack(t)

	t.Run("the_credential_is_never_shown", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		a := o.connector(t, nil)
		path := "/connectors/" + a.text("id")
		assert.Equal(t, "/api/v1"+path, a.header.Get("Location"))
		assert.Equal(t, "Authorization", a.text("auth_header"))
		assert.NotNil(t, a.at("next_sync_at"), "it syncs at once")
		assert.InDelta(t, 60, a.at("requests_per_minute"), 0)
		assert.Equal(t, "page", a.text("settings", "param"), "what was left out is filled in")
		for _, p := range []string{path, "/connectors", "/audit-events"} {
			assert.NotContains(t, o.must(t, http.StatusOK, http.MethodGet, p, nil).raw, "sesame", p)
		}
		assert.NotContains(t, a.raw, "sesame")
		assert.NotContains(t, s.logs.String(), "sesame")
		var kept string
		require.NoError(t, s.Admin(t).QueryRow(t.Context(), "select encode(auth_sealed, 'escape') from connectors where id = $1", a.text("id")).Scan(&kept))
		assert.NotContains(t, kept, "sesame")
	})

	t.Run("change_by_merge_patch", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		a := o.connector(t, nil)
		path := "/connectors/" + a.text("id")
		b := o.with("If-Match", a.header.Get("ETag")).must(t, http.StatusOK, http.MethodPatch, path,
			`{"name":" Other ","schedule":{"daily_at":null,"every_minutes":15},"settings":{"paging":"cursor","next":"meta.next","param":null},"mapping":{"email":"mail"}}`)
		assert.Equal(t, "Other", b.text("name"))
		assert.Equal(t, "cursor", b.text("settings", "param"))
		assert.Equal(t, map[string]any{"code": "id", "name": "company.name", "email": "mail"}, b.at("mapping"))
		assert.InDelta(t, 15, b.at("schedule", "every_minutes"), 0)
		same := o.must(t, http.StatusOK, http.MethodPatch, path, `{"name":"Other"}`)
		assert.InDelta(t, 2, same.at("version"), 0, "what changes nothing makes no version")
		o.with("If-Match", a.header.Get("ETag")).refused(t, http.StatusPreconditionFailed, "version_mismatch", http.MethodPatch, path, `{}`)
		assert.Nil(t, o.must(t, http.StatusOK, http.MethodPatch, path, `{"schedule":null}`).at("next_sync_at"))
		assert.Nil(t, o.must(t, http.StatusOK, http.MethodPatch, path, `{"auth_header":null}`).at("auth_header"))
		o.must(t, http.StatusNoContent, http.MethodDelete, path, nil)
		o.refused(t, http.StatusNotFound, "connector.not_found", http.MethodGet, path, nil)
		o.refused(t, http.StatusNotFound, "connector.not_found", http.MethodPost, path+"/sync", `{}`)
	})

	t.Run("the_credential_goes_to_no_other_host", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		path := "/connectors/" + o.connector(t, nil).text("id")
		a := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, path, `{"url":"https://example.com/contacts"}`)
		assert.Equal(t, "/auth_value", a.text("errors", 0, "pointer"))
		o.must(t, http.StatusOK, http.MethodPatch, path, `{"url":"`+aReceiver+`/other"}`)
		o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPatch, path, `{"url":"https://127.0.0.1/","auth_value":"x"}`)
	})

	t.Run("name_all_that_is_wrong_at_once", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		for body, want := range map[string][]string{
			`{"kind":"soap","resource":"customers","name":"x","url":"https://example.com/","by":"code","mapping":{"code":"id"}}`: {"/kind oneof"},
			`{"kind":"rest","resource":"invoices","name":"","url":"","by":"code"}`:                                               {"/resource oneof", "/name notblank", "/url required"},
			`{"kind":"rest","resource":"customers","name":"x","url":"https://example.com/","by":"name"}`:                         {"/by oneof", "/mapping required"},
			`{"kind":"rest","resource":"customers","name":"x","url":"https://example.com/","by":"code","mapping":{"code":{"value":"1"},"tags":[],"nope":"x"},` +
				`"settings":{"paging":"cursor","size":0,"first":"1","odd":1,"records":7,"since_format":"ms"},"schedule":{},"auth_header":"Host","requests_per_minute":0}`: {
				"/mapping/code required", "/mapping/tags max", "/mapping/nope unknown_field", "/settings/next required", "/settings/size range",
				"/settings/first type", "/settings/odd unknown_field", "/settings/records type", "/settings/since_format oneof", "/schedule required",
				"/auth_header header", "/auth_value required", "/requests_per_minute min",
			},
			`{"kind":"rest","resource":"orders","name":"x","url":"https://example.com/","by":"number","mapping":{"number":"id","lines":{"file_id":"01980c2e-5d0b-7c3a-9a57-0f6c1f5f7d11","key":"id","fields":{"sku":"sku"}}},` +
				`"auth_value":"a\r\nb","schedule":{"daily_at":"25:00","every_minutes":1}}`: {
				"/mapping/lines type", "/auth_header required", "/auth_value header", "/schedule required", "/schedule/daily_at time", "/schedule/every_minutes min",
			},
			`{"kind":"rest","resource":"customers","name":"x","url":"http://169.254.169.254/latest","by":"code","mapping":{"code":"id"}}`: {"/url https"},
		} {
			a := o.refused(t, http.StatusUnprocessableEntity, "validation_failed", http.MethodPost, "/connectors", body)
			var p struct {
				Errors []struct{ Pointer, Code string }
			}
			require.NoError(t, json.Unmarshal([]byte(a.raw), &p))
			var got []string
			for _, e := range p.Errors {
				got = append(got, e.Pointer+" "+e.Code)
			}
			for _, w := range want {
				assert.Contains(t, got, w)
			}
		}
	})

	t.Run("do_no_more_than_who_makes_them_may", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		body := map[string]any{"kind": "rest", "resource": "customers", "name": "x", "url": aReceiver, "by": "code", "mapping": map[string]any{"code": "id"}}
		o.key(t, "connectors:write").refused(t, http.StatusForbidden, "permission_denied", http.MethodPost, "/connectors", body)
		o.key(t, "customers:write").refused(t, http.StatusForbidden, "permission_denied", http.MethodPost, "/connectors", body)
		writer := o.key(t, "connectors:write", "customers:write")
		path := "/connectors/" + writer.must(t, http.StatusCreated, http.MethodPost, "/connectors", body).text("id")
		writer.refused(t, http.StatusForbidden, "permission_denied", http.MethodPatch, path, `{"delete_missing":true}`)
		o.must(t, http.StatusOK, http.MethodPatch, path, `{"delete_missing":true}`)
		writer.refused(t, http.StatusForbidden, "permission_denied", http.MethodPost, path+"/sync", `{}`)
	})

	t.Run("sync_once_at_a_time", func(t *testing.T) {
		t.Parallel()
		o := s.signUp(t)
		path := "/connectors/" + o.connector(t, nil).text("id")
		a := o.must(t, http.StatusAccepted, http.MethodPost, path+"/sync", `{"full":true}`)
		assert.Equal(t, "/api/v1/jobs/"+a.text("job_id"), a.header.Get("Location"))
		assert.Equal(t, "connectors.sync", o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+a.text("job_id"), nil).text("kind"))
		b := o.must(t, http.StatusAccepted, http.MethodPost, path+"/sync", `{}`)
		assert.Equal(t, a.text("job_id"), b.text("job_id"))
		assert.Equal(t, true, b.at("existed"))
		c := o.must(t, http.StatusAccepted, http.MethodPost, path+"/sync", `{"allow_deletions":true}`)
		assert.Equal(t, a.text("job_id"), c.text("job_id"))
		job := o.must(t, http.StatusOK, http.MethodGet, "/jobs/"+a.text("job_id"), nil)
		assert.Equal(t, map[string]any{"connector_id": strings.TrimPrefix(path, "/connectors/"), "full": true, "allow_deletions": true},
			job.at("args"), "the one that waits does all that was asked for")
		s.Exec(t, "update jobs set state = 'running', args = json_build_object('connector_id', args->>'connector_id', 'full', true) where id = $1", a.text("job_id"))
		o.refused(t, http.StatusConflict, "connector.syncing", http.MethodPost, path+"/sync", `{"allow_deletions":true}`)
		assert.Equal(t, a.text("job_id"), o.must(t, http.StatusAccepted, http.MethodPost, path+"/sync", `{"full":true}`).text("job_id"))
		o.must(t, http.StatusOK, http.MethodPatch, path, `{"paused":true}`)
		o.refused(t, http.StatusConflict, "connector.paused", http.MethodPost, path+"/sync", `{}`)
	})
}
