package inbound

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		pattern, eventType string
		want               bool
	}{
		{"invoice.paid", "invoice.paid", true},
		{"invoice.paid", "invoice.paid.late", false},
		{"invoice.*", "invoice.paid", true},
		{"invoice.*", "invoice.", true},
		{"invoice.*", "invoice", false},
		{"*", "", true},
		{"*", "anything", true},
		{"*.paid", "invoice.paid", true},
		{"*.paid", "invoice.paid.late", false},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "acb", false},
		{"a*a", "a", false},
		{"a**a", "aa", true},
		{"*ab*ab*", "ab", false},
		{"orders/*", "orders/create", true},
		{"", "", true},
		{"", "x", false},
		{"Invoice.*", "invoice.paid", false},
	} {
		assert.Equal(t, each.want, Matches(each.pattern, each.eventType), "%q %q", each.pattern, each.eventType)
	}
	assert.True(t, wants(nil, "x"), "no filter is all")
	assert.False(t, wants([]string{"y"}, "x"))
	assert.Equal(t, []string{"a", "b.*"}, normalizeFilter([]string{"a, b.*", "a"}))
	assert.Len(t, checkFilter([]string{"ok", "", "a b", "\x00"}), 3)
	assert.Len(t, checkFilter(make([]string, 51)), 1)
}
