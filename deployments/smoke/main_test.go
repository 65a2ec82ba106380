package main

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("hunter2\n"), 0o600))
	variables := map[string]string{"SMOKE_PASSWORD_FILE": file}
	variable := func(name string) string { return variables[name] }
	s, err := read([]string{"https://api.example.com/"}, variable)
	require.NoError(t, err)
	assert.Equal(t, settings{origin: "https://api.example.com", email: "smoke@example.com", password: "hunter2"}, s)
	for _, bad := range [][]string{{}, {""}, {"api.example.com"}, {"ftp://api.example.com"}, {"https://api.example.com/api"}, {"https://u:p@h"}, {"https://a", "https://b"}} {
		_, err := read(bad, variable)
		require.Error(t, err, bad)
	}
	for name, value := range map[string]string{"SMOKE_CA_FILE": file, "SMOKE_PASSWORD_FILE": file + ".none"} {
		_, err := read([]string{"https://a"}, func(asked string) string {
			if asked == name {
				return value
			}
			return variables[asked]
		})
		require.ErrorContains(t, err, name)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	_, err = read([]string{"https://a"}, func(string) string { return "" })
	require.ErrorContains(t, err, "SMOKE_PASSWORD or SMOKE_PASSWORD_FILE")
}

// A stack that is not well is named by the step that failed, and a certificate that nobody vouches for is one.
func TestRun_stops_at_what_is_not_well(t *testing.T) {
	t.Parallel()
	sick := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			http.Error(w, `{"code":"database.unavailable","detail":"Try again.","request_id":"r-1"}`, http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(sick.Close)
	s := settings{origin: sick.URL, email: "a@example.com", password: "hunter2", patience: time.Minute}
	require.ErrorContains(t, run(t.Context(), s, io.Discard), "the public port is up: ")
	s.authorities = x509.NewCertPool()
	s.authorities.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sick.Certificate().Raw}))
	err := run(t.Context(), s, io.Discard)
	require.ErrorContains(t, err, "an account signs in: POST /auth/login answered 503 where 200 was due: database.unavailable: Try again. (request r-1)")
	assert.NotContains(t, err.Error(), "hunter2")
}
