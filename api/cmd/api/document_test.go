package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Every exchange of these tests is held against the document (openapitest). Here are those that no other test has.
func TestDescribedExchanges(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	customer := o.customer(t)
	history := o.must(t, http.StatusOK, http.MethodGet, "/customers/"+customer+"/history?limit=1", nil)
	assert.Equal(t, "customer.created", history.text("data", 0, "action"))
	assert.Equal(t, o.user, o.must(t, http.StatusOK, http.MethodGet, "/members/"+o.user, nil).text("id"))
	document := s.anonymous().must(t, http.StatusOK, http.MethodGet, "//openapi.json", nil)
	assert.Equal(t, "3.1.1", document.text("openapi"))
	s.anonymous().with("If-None-Match", document.header.Get("ETag")).must(t, http.StatusNotModified, http.MethodGet, "//openapi.json", nil)
}
