package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

// asWorker makes this program the worker.
const asWorker = "WORKER_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const patience = 2 * time.Minute

// command is the worker with arguments and an environment.
func command(t *testing.T, args []string, environ ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), self, args...)
	cmd.Env = append([]string{asWorker + "=1", "PATH=" + os.Getenv("PATH")}, environ...)
	return cmd
}

func TestWorker(t *testing.T) {
	t.Parallel()
	t.Run("says_what_is_wrong_with_its_settings", func(t *testing.T) {
		t.Parallel()
		for flag, want := range map[string]string{
			"--queues=critical=20,mail=1":   `--queues: "critical=20,mail=1" names no queue: there is no "mail"; want list of queue=workers (critical, default, webhooks, transfers, reports;`,
			"--queues=critical":             "does not say how many jobs of critical to run at once, as in critical=10",
			"--queues=default=0":            "has 0 workers for default, which may have 1 to 500",
			"--queues=default=1,default=2":  "WORKER_QUEUES: default stands there twice",
			"--queues=none,default=2":       "WORKER_QUEUES: none stands beside queues",
			"--queues=default=1":            "SYSTEM_DATABASE_URL: is required to run jobs",
			"--queues=transfers=2,none=0.5": `there is no "none"`,
		} {
			out, err := command(t, []string{flag}, "DATABASE_URL=postgres://x@y/z", "REDIS_URL=redis://x", "MASTER_KEY=x").CombinedOutput()
			require.Error(t, err, flag)
			assert.Contains(t, string(out), want, flag)
		}
		out, err := command(t, []string{"--help"}).CombinedOutput()
		require.NoError(t, err)
		assert.Contains(t, string(out), "--queues, WORKER_QUEUES")
	})
	t.Run("is_ready_soon_small_at_rest_and_gone_when_told", func(t *testing.T) {
		t.Parallel()
		database := databasetest.New(t)
		server, err := devstack.StartRedis(t.Context(), devstack.Redis{})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
		masterKey, err := seal.NewMasterKey()
		require.NoError(t, err)
		port, err := proc.FreePort(t.Context())
		require.NoError(t, err)
		cmd := command(t, nil, "DATABASE_URL="+database.WorkerURL, "SYSTEM_DATABASE_URL="+database.SystemURL,
			"REDIS_URL="+server.URL, "MASTER_KEY="+masterKey, fmt.Sprintf("WORKER_OPS_ADDR=127.0.0.1:%d", port), "LOG_LEVEL=debug")
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		begun := time.Now()
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })

		ops := fmt.Sprintf("http://127.0.0.1:%d", port)
		require.Eventually(t, func() bool {
			status, _ := get(t, ops+"/readyz")
			return status == http.StatusOK
		}, patience, 10*time.Millisecond)
		t.Logf("ready after %s", time.Since(begun))
		_, ready := get(t, ops+"/readyz")
		assert.Contains(t, ready, "system database")
		_, metrics := get(t, ops+"/metrics")
		assert.Contains(t, metrics, `db_pool_connections_max{pool="system"} 6`)
		t.Logf("at rest with all queues: %s", residentSize(t, cmd.Process.Pid))

		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		told := time.Now()
		require.NoError(t, cmd.Wait())
		t.Logf("gone %s after SIGTERM", time.Since(told))
		assert.NotContains(t, said.String(), `"level":"error"`)
		assert.NotContains(t, said.String(), "ERROR: ", "the library printed nothing")
	})
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(data)
}

// residentSize is how much memory a process has, where the system says so.
func residentSize(t *testing.T, pid int) string {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		return "unknown"
	}
	return strings.Join(regexp.MustCompile(`VmRSS:\s+(\d+ kB)`).FindStringSubmatch(string(status))[1:], "")
}
