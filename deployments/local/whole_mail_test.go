package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/mailsink"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// post calls the API without a credential, or with one, and returns the status and the answer.
func (r *wholeRun) post(t *testing.T, path, token string, body any) (int, map[string]any) {
	t.Helper()
	data, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.stack.API+"/api/v1"+path, strings.NewReader(string(data)))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	answer := map[string]any{}
	if len(read) > 0 {
		require.NoError(t, json.Unmarshal(read, &answer))
	}
	return response.StatusCode, answer
}

// mailTo waits until so many mails to an address are on the page of mails, and returns the token in the newest one's link.
func (r *wholeRun) mailTo(t *testing.T, address, path string, count int) string {
	t.Helper()
	var mails []mailsink.Mail
	require.True(t, proc.Poll(t.Context(), soon, func() bool {
		return json.Unmarshal([]byte(get(t, r.stack.Mail+"/messages?to="+url.QueryEscape(address))), &mails) == nil && len(mails) >= count
	}), "%d mails to %s", count, address)
	require.Len(t, mails, count)
	for _, link := range mails[0].Links {
		if u, err := url.Parse(link); err == nil && u.Path == path {
			return strings.TrimPrefix(u.Fragment, "token=")
		}
	}
	require.Empty(t, path, "no link in %v", mails[0].Links)
	return ""
}

// assertMails signs somebody up, and follows the links in the mails that they get, through the product's own processes.
func assertMails(t *testing.T, r *wholeRun) {
	t.Helper()
	const first, second = "correct horse battery staple", "another horse battery staple"
	status, ada := r.post(t, "/auth/signup", "", map[string]string{"name": "Ada", "email": "ada@example.com", "password": first, "organization": "Northwind"})
	require.Equal(t, http.StatusCreated, status)
	token := fmt.Sprint(ada["access_token"])
	status, verified := r.post(t, "/auth/email/verify", "", map[string]string{"token": r.mailTo(t, "ada@example.com", "/verify-email", 1)})
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, map[string]any{"email": "ada@example.com", "email_verified": true}, verified)

	status, known := r.post(t, "/auth/password/forgot", "", map[string]string{"email": "Ada@example.com"})
	assert.Equal(t, http.StatusAccepted, status)
	status, unknown := r.post(t, "/auth/password/forgot", "", map[string]string{"email": "nobody@example.com"})
	assert.Equal(t, http.StatusAccepted, status)
	assert.Equal(t, known, unknown)
	status, _ = r.post(t, "/auth/password/reset", "", map[string]string{"token": r.mailTo(t, "ada@example.com", "/reset-password", 2), "password": second})
	assert.Equal(t, http.StatusNoContent, status)
	status, _ = r.post(t, "/auth/logout/all", token, map[string]string{})
	assert.Equal(t, http.StatusUnauthorized, status, "the old session has ended")
	status, _ = r.post(t, "/auth/login", "", map[string]string{"email": "ada@example.com", "password": first})
	assert.Equal(t, http.StatusUnauthorized, status)
	status, ada = r.post(t, "/auth/login", "", map[string]string{"email": "ada@example.com", "password": second})
	require.Equal(t, http.StatusOK, status)
	r.mailTo(t, "ada@example.com", "", 3) // the notice of it

	// The pages that stand in for a web app hand on what they post.
	assert.Contains(t, get(t, r.stack.Mail+"/reset-password"), "/app/page.js")
	response, err := http.Post(r.stack.Mail+"/app/api/auth/email/verify", "application/json", strings.NewReader(`{"token":"x"}`)) //nolint:noctx // a test
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
	assert.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))

	status, _ = r.post(t, "/invitations", fmt.Sprint(ada["access_token"]), map[string]string{"email": "grace@example.com", "role": "member"})
	require.Equal(t, http.StatusCreated, status)
	status, grace := r.post(t, "/invitations/accept", "", map[string]string{
		"token": r.mailTo(t, "grace@example.com", "/accept-invitation", 1), "name": "Grace", "password": first,
	})
	require.Equal(t, http.StatusOK, status)
	user, _ := grace["user"].(map[string]any)
	assert.Equal(t, true, user["email_verified"])
	assert.JSONEq(t, "[]", get(t, r.stack.Mail+"/messages?to=nobody@example.com"))
}
