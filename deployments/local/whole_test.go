package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// TestMain lets the test binary play a make that runs the program.
func TestMain(m *testing.M) {
	program := os.Getenv("LOCAL_TEST_RUNS")
	if program == "" {
		os.Exit(m.Run())
	}
	cmd := exec.CommandContext(context.Background(), program)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		os.Exit(1)
	}
}

// whole is the program itself, with the product's own processes, over one directory.
type whole struct {
	program string
	dir     string
	environ []string
}

// wholeRun is one run of it.
type wholeRun struct {
	*whole

	process *proc.Process
	screen  *screen
	stack   struct {
		API  string `json:"api"`
		Mail string `json:"mail"`
		Demo demo   `json:"demo"`
	}
	// left are the processes that must be gone when it is.
	left []proc.Identity
}

// start runs the program, as the child of a process of another name if it is given one, and waits until it is up.
func (w *whole) start(t *testing.T, by string) *wholeRun {
	t.Helper()
	r := &wholeRun{whole: w, screen: &screen{}}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), w.program)
	cmd.Env = w.environ
	if by != "" {
		self, err := os.Executable()
		require.NoError(t, err)
		cmd.Path, cmd.Args = self, []string{by}
		cmd.Env = append(w.environ[:len(w.environ):len(w.environ)], "LOCAL_TEST_RUNS="+w.program)
	}
	cmd.Stdout, cmd.Stderr = r.screen, r.screen
	cmd.WaitDelay = soon
	var err error
	r.process, err = proc.Start(cmd, proc.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, r.process.Stop(context.WithoutCancel(t.Context()), proc.Step{Signal: syscall.SIGTERM, Wait: soon}))
		if t.Failed() {
			t.Log(r.screen)
		}
	})
	// Not stack.json, which a run that was killed has left.
	const up = "Groundwork is up"
	proc.Poll(t.Context(), soon, func() bool {
		select {
		case <-r.process.Done():
			return true
		default:
			return strings.Contains(r.screen.String(), up)
		}
	})
	require.Contains(t, r.screen.String(), up)
	b, err := os.ReadFile(filepath.Join(w.dir, stackFile))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &r.stack))
	r.left = w.running(t)
	return r
}

// running are all the processes of the run: those that are noted, and the servers.
func (w *whole) running(t *testing.T) []proc.Identity {
	t.Helper()
	var list []noted
	b, err := os.ReadFile(filepath.Join(w.dir, processesFile))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &list))
	var ids []proc.Identity
	for _, n := range list {
		ids = append(ids, n.Identity)
	}
	for _, path := range []string{"lock", "postgres/cluster/data/postmaster.pid"} {
		b, err := os.ReadFile(filepath.Join(w.dir, path))
		require.NoError(t, err)
		line, _, _ := strings.Cut(string(b), "\n")
		pid, err := strconv.Atoi(line)
		require.NoError(t, err)
		id, ok := proc.Identify(pid)
		require.True(t, ok, path)
		ids = append(ids, id)
	}
	var redis struct {
		Process proc.Identity `json:"process"`
	}
	if b, err := os.ReadFile(filepath.Join(w.dir, "redis/state.json")); err == nil {
		require.NoError(t, json.Unmarshal(b, &redis))
		ids = append(ids, redis.Process)
	}
	for _, id := range ids {
		require.True(t, id.IsAlive(), id.Command())
	}
	return ids
}

// awaitGone waits until all of the run's processes have ended.
func (r *wholeRun) awaitGone(t *testing.T) {
	t.Helper()
	for _, id := range r.left {
		require.True(t, proc.Poll(t.Context(), soon, func() bool { return !id.IsAlive() }), "still there: %s", id.Command())
	}
}

// call sends a request with the demo tenant's key and returns the status and the body.
func (r *wholeRun) call(t *testing.T, method, path, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.stack.API+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+r.stack.Demo.APIKey)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(b)
}

func TestWhole(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(home, 0o700))
	w := &whole{program: filepath.Join(home, "local"), dir: filepath.Join(home, ".local")}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", w.program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	w.environ = append(os.Environ(), "LOCAL_DIR="+w.dir, "DATABASE_URL=", "REDIS_URL=", "API_ADDR=:0")
	for _, a := range defaultAddresses()[1:] {
		w.environ = append(w.environ, a.variable+"=127.0.0.1:0")
	}

	first := w.start(t, "")
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, first.stack.API)
	login, err := json.Marshal(map[string]string{"email": first.stack.Demo.Email, "password": first.stack.Demo.Password})
	require.NoError(t, err)
	status, answer := first.call(t, http.MethodPost, "/api/v1/auth/login", string(login))
	assert.Equal(t, http.StatusOK, status, answer)
	status, answer = first.call(t, http.MethodPost, "/api/v1/customers", `{"name":"Alfreds Futterkiste"}`)
	require.Equal(t, http.StatusCreated, status, answer)
	assertMails(t, first)
	assertJoined(t, first)
	assertSmoke(t, first)

	// It is told to stop, stops, and leaves no process.
	require.NoError(t, first.process.Signal(syscall.SIGTERM))
	require.NoError(t, first.process.Err(), "%s", first.screen)
	for _, id := range first.left {
		assert.False(t, id.IsAlive(), id.Command())
	}
	assert.NoFileExists(t, filepath.Join(w.dir, stackFile))

	// It comes back with its data, and is killed.
	second := w.start(t, "")
	assert.Equal(t, first.stack.Demo, second.stack.Demo)
	status, answer = second.call(t, http.MethodGet, "/api/v1/customers", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, answer, "Alfreds Futterkiste")
	require.NoError(t, second.process.Signal(syscall.SIGKILL))
	require.Error(t, second.process.Err())

	// The next run mends what that one left, and goes when the make that ran it is killed.
	third := w.start(t, "make")
	second.awaitGone(t)
	status, answer = third.call(t, http.MethodGet, "/api/v1/customers", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, answer, "Alfreds Futterkiste")
	require.NoError(t, third.process.Signal(syscall.SIGKILL))
	third.awaitGone(t)
	assert.NoFileExists(t, filepath.Join(w.dir, stackFile))
	assertPrivate(t, w.dir)
}

// assertPrivate proves that nobody else can read what is kept.
func assertPrivate(t *testing.T, dir string) {
	t.Helper()
	var open bytes.Buffer
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.Name() == "redis" && info.Mode().Perm() == 0o700 {
			return filepath.SkipDir // Redis leaves its files open and relies on this
		}
		if info.Mode().Perm()&0o077 != 0 && !strings.Contains(path, "/bin/") {
			open.WriteString(path + "\n")
		}
		return nil
	}))
	assert.Empty(t, open.String())
}
