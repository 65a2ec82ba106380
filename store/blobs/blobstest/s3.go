package blobstest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Bucket is a bucket of the test's own on an S3 server in this process.
type Bucket struct {
	// URL is the server's, Name the bucket's.
	URL, Name string
	// Server is what ends with the test, or when the test says so.
	Server *httptest.Server
}

// The server's one credential.
const (
	AccessKeyID     = "test-access-key"
	SecretAccessKey = "test-secret-access-key" //nolint:gosec // of a server that lives for one test
)

// StartS3 starts a server with a bucket, which ends with the test. It refuses requests that are not signed with
// AccessKeyID.
func StartS3(tb testing.TB) Bucket {
	tb.Helper()
	backend := s3mem.New()
	b := Bucket{Name: "contents"}
	if err := backend.CreateBucket(b.Name); err != nil {
		tb.Fatalf("make a bucket: %v", err)
	}
	s3 := gofakes3.New(backend, gofakes3.WithoutVersioning()).Server()
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential="+AccessKeyID+"/") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		s3.ServeHTTP(w, r)
	}))
	tb.Cleanup(b.Server.Close)
	b.URL = b.Server.URL
	return b
}
