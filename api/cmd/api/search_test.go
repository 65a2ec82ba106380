package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// found are the names of a list's customers.
func found(t *testing.T, a answer) []string {
	t.Helper()
	names := []string{}
	list, _ := a.at("data").([]any)
	for i := range list {
		names = append(names, a.text("data", i, "name"))
	}
	return names
}

func TestSearch(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	key := s.signUp(t).key(t, "customers:read", "customers:write")
	stranger := s.signUp(t).key(t, "customers:read", "customers:write")
	for _, body := range []string{
		`{"name":"Crème & Söhne","code":"C-1","tags":["vip"],"custom":{"level":3}}`, `{"name":"Anna Crème","tags":["vip","new"]}`,
		`{"name":"Creme Berlin"}`, `{"name":"By mail","email":"creme@example.com"}`, `{"name":"O'Neil"}`,
	} {
		key.must(t, http.StatusCreated, http.MethodPost, "/customers", body)
	}
	stranger.must(t, http.StatusCreated, http.MethodPost, "/customers", `{"name":"Crème of another tenant","tags":["vip"]}`)

	ranked := []string{"Creme Berlin", "Anna Crème", "Crème & Söhne", "By mail"}
	for query, want := range map[string][]string{
		"q=creme":                          ranked,
		"q=CR%C3%88":                       ranked,
		"q=creme&sort=name":                {"Anna Crème", "By mail", "Creme Berlin", "Crème & Söhne"},
		"q=creme+s%C3%B6":                  {"Crème & Söhne"},
		"q=creme&tags[any]=vip":            {"Anna Crème", "Crème & Söhne"},
		"q=creme&tags[all]=vip,new":        {"Anna Crème"},
		"q=creme&custom.level=3":           {"Crème & Söhne"},
		"q=creme&code=C-1&sort=-name":      {"Crème & Söhne"},
		"q=creme&trashed=only":             {},
		"tags[any]=vip&sort=name":          {"Anna Crème", "Crème & Söhne"},
		"q=o'neil":                         {"O'Neil"},
		"q='":                              {},
		"q=%26":                            {},
		"q=!":                              {},
		"q=:*":                             {},
		"q=a+%3C-%3E+b":                    {},
		"q=creme'%3B+DROP+TABLE+customers": {},
	} {
		a := key.must(t, http.StatusOK, http.MethodGet, "/customers?"+query, nil)
		assert.Equal(t, want, found(t, a), query)
	}

	// A ranked list goes on behind its cursor, which is no other search's.
	page := key.must(t, http.StatusOK, http.MethodGet, "/customers?q=creme&limit=3", nil)
	assert.Equal(t, ranked[:3], found(t, page))
	cursor := url.QueryEscape(page.text("next_cursor"))
	require.NotEmpty(t, cursor)
	next := key.must(t, http.StatusOK, http.MethodGet, "/customers?q=creme&limit=3&cursor="+cursor, nil)
	assert.Equal(t, ranked[3:], found(t, next))
	for _, other := range []string{"", "q=crem&", "q=creme&sort=-id&"} {
		key.refused(t, http.StatusBadRequest, "invalid_cursor", http.MethodGet, "/customers?"+other+"cursor="+cursor, nil)
	}

	key.must(t, http.StatusOK, http.MethodGet, "/customers?q="+url.QueryEscape(strings.Repeat("é", 500)), nil)
	for _, query := range []string{
		"q=" + url.QueryEscape(strings.Repeat("é", 501)), "q=", "q=%20", "q=%00", "q=%ff", "q=" + strings.Repeat("word+", 10_000), "q=" + strings.Repeat("w+", 21), "q=" + strings.Repeat("'", 501),
		"q=a&q=b",
	} {
		a := key.refused(t, http.StatusBadRequest, "invalid_query", http.MethodGet, "/customers?"+query, nil)
		assert.Equal(t, []string{"q"}, a.pointers(), "%.80s", query)
	}
}
