package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// assertJoined proves that a request is one line in the log and the job that it enqueued another one, and that both name
// the request.
func assertJoined(t *testing.T, r *wholeRun) {
	t.Helper()
	const id = "a-request-to-follow"
	body, err := json.Marshal(map[string]string{"email": r.stack.Demo.Email})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.stack.API+"/api/v1/auth/password/forgot", strings.NewReader(string(body)))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-Id", id)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, 300, "%s", answer)
	require.Equal(t, id, response.Header.Get("X-Request-Id"))

	var jobs []map[string]any
	require.True(t, proc.Poll(t.Context(), soon, func() bool {
		jobs = r.logged(t, "worker", id)
		return len(jobs) > 0
	}), "the job's line names no such request")
	assert.Len(t, jobs, 1)
	assert.Equal(t, "job", jobs[0]["message"])
	assert.Equal(t, "succeeded", jobs[0]["state"])
	assert.NotEmpty(t, jobs[0]["kind"])
	requests := r.logged(t, "api", id)
	require.Len(t, requests, 1)
	assert.Equal(t, "request", requests[0]["message"])
	assert.Equal(t, "/api/v1/auth/password/forgot", requests[0]["route"])
}

// logged are the lines of a process that name a request.
func (w *whole) logged(t *testing.T, process, requestID string) (found []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "logs", process+".log"))
	require.NoError(t, err)
	for part := range strings.Lines(string(text)) {
		var line map[string]any
		if err := json.Unmarshal([]byte(part), &line); err == nil && line["request_id"] == requestID {
			assert.Equal(t, process, line["process"])
			found = append(found, line)
		}
	}
	return found
}
