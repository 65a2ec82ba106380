package mediatype_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/platform/mediatype"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]string{
		"%PDF-1.7\n":                          "application/pdf",
		"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR": "image/png",
		"name,email\nAnna,a@b.example\n":      "text/csv",
		`{"a": 1}`:                            "application/json",
		"<!DOCTYPE html><script>":             "text/html",
		"just a text":                         "text/plain",
		"\x00\x01\x02\x03":                    "application/octet-stream",
		"MZ\x90\x00\x03":                      "application/vnd.microsoft.portable-executable",
	} {
		assert.Equal(t, want, mediatype.Of([]byte(head)), "%q", head)
	}
}
