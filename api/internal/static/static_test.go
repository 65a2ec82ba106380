package static_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/static"
)

func TestFile(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("all work and no play ", 200)
	file := static.New("text/plain; charset=utf-8", []byte(text), 60)
	get := func(t *testing.T, method string, headers ...string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		file.ServeHTTP(w, r)
		return w
	}
	t.Run("is served whole", func(t *testing.T) {
		t.Parallel()
		w := get(t, http.MethodGet)
		assert.Equal(t, text, w.Body.String())
		assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
		assert.Equal(t, "public, max-age=60", w.Header().Get("Cache-Control"))
		assert.Equal(t, "Accept-Encoding", w.Header().Get("Vary"))
		assert.Equal(t, file.ETag(), w.Header().Get("ETag"))
	})
	t.Run("is compressed for those who can read it", func(t *testing.T) {
		t.Parallel()
		w := get(t, http.MethodGet, "Accept-Encoding", "br, gzip;q=0.8")
		assert.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
		assert.Less(t, w.Body.Len(), len(text)/5)
		r, err := gzip.NewReader(w.Body)
		require.NoError(t, err)
		plain, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.Equal(t, text, string(plain))
	})
	t.Run("is not compressed for those who refuse", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, text, get(t, http.MethodGet, "Accept-Encoding", "gzip;q=0, br").Body.String())
	})
	t.Run("is not sent to those who have it", func(t *testing.T) {
		t.Parallel()
		for _, tags := range []string{file.ETag(), `"other", W/` + file.ETag(), "*"} {
			w := get(t, http.MethodGet, "If-None-Match", tags)
			assert.Equal(t, http.StatusNotModified, w.Code, tags)
			assert.Empty(t, w.Body.String())
		}
		assert.Equal(t, http.StatusOK, get(t, http.MethodGet, "If-None-Match", `"other"`).Code)
	})
	t.Run("has no body for HEAD", func(t *testing.T) {
		t.Parallel()
		w := get(t, http.MethodHead)
		assert.Empty(t, w.Body.String())
		assert.Equal(t, "4200", w.Header().Get("Content-Length"))
	})
	t.Run("is another one with other content", func(t *testing.T) {
		t.Parallel()
		assert.NotEqual(t, file.ETag(), static.New("text/plain", []byte("short"), 60).ETag())
	})
}
