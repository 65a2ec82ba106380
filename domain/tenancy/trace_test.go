package tenancy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func TestParseTrace(t *testing.T) {
	t.Parallel()
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for header, want := range map[string]tenancy.Trace{
		"00-" + id + "-" + span + "-01":                             id + "-01",
		"00-" + id + "-" + span + "-00":                             id + "-00",
		"00-" + id + "-" + span + "-0b":                             id + "-01",
		"00-" + id + "-" + span + "-0a":                             id + "-00",
		"00-" + id + "-" + span + "-0e":                             id + "-00",
		"00-" + id + "-" + span + "-ff":                             id + "-01",
		"cc-" + id + "-" + span + "-01-what-the-future-will-be":     id + "-01",
		"cc-" + id + "-" + span + "-01":                             id + "-01",
		"":                                                          "",
		"00-" + id + "-" + span:                                     "",
		"00-" + id + "-" + span + "-01-more":                        "",
		"ff-" + id + "-" + span + "-01":                             "",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":        "",
		"00-" + id + "-" + strings.Repeat("0", 16) + "-01":          "",
		"00-" + strings.ToUpper(id) + "-" + span + "-01":            "",
		"00-" + id + "-" + span + "-1":                              "",
		"00-" + id[1:] + "-" + span + "-01":                         "",
		"00-" + id + "-" + span + "-01\n":                           "",
		"cc-" + id + "-" + span + "-01-" + strings.Repeat("x", 600): "",
	} {
		assert.Equal(t, want, tenancy.ParseTrace(header), "%q", header)
	}
	trace := tenancy.ParseTrace("00-" + id + "-" + span + "-01")
	assert.Equal(t, id, trace.ID())
	assert.Equal(t, "00-"+id+"-0123456789abcdef-01", trace.Parent("0123456789abcdef"))
	assert.Empty(t, tenancy.Trace("").ID())
}
