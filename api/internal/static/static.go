// Package static serves what is made once, at start, and stays the same: documents, pages, styles.
//
// Each file knows its ETag and is kept compressed as well, so that serving it costs a lookup and a write.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// File is one file, served with GET and HEAD.
type File struct {
	contentType, etag, cache string
	plain, zipped            []byte
}

// New returns a file of the type. Caches may keep it for maxAge seconds, and ask again then.
func New(contentType string, content []byte, maxAge int) *File {
	sum := sha256.Sum256(content)
	f := &File{
		contentType: contentType, plain: content, cache: "public, max-age=" + strconv.Itoa(maxAge),
		etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is one that exists
	}
	_, _ = w.Write(content) // a buffer takes everything
	_ = w.Close()
	if b.Len() < len(content) {
		f.zipped = b.Bytes()
	}
	return f
}

// ETag is the content's.
func (f *File) ETag() string { return f.etag }

// ServeHTTP answers with the file, compressed for those who can read it, or 304 for those who have it.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", f.cache)
	h.Add("Vary", "Accept-Encoding")
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == f.etag || tag == "*" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	body := f.plain
	if f.zipped != nil && takesGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = f.zipped
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; there is nobody to tell
	}
}

func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			quality, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			return !found || strings.Trim(quality, "0.") != ""
		}
	}
	return false
}
