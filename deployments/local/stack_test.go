package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

const soon = 3 * time.Minute // to build on a machine that is busy

// screen keeps what a stack prints.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// fakes are programs that play the product's.
func fakes() []program {
	list := programs()
	for i := range list {
		list[i].source = "./deployments/local/testdata/" + list[i].name
	}
	return list
}

// trial is a run of a stack in a test.
type trial struct {
	*stack

	screen *screen
	cancel context.CancelFunc
	result chan error
}

// try runs a stack of fakes in a private directory, on free ports.
func try(t *testing.T, environ ...string) *trial {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "private")
	require.NoError(t, os.Mkdir(dir, 0o700))
	environ = append([]string{
		"LOCAL_DIR=" + filepath.Join(dir, ".local"), "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"API_ADDR=:0", "API_OPS_ADDR=127.0.0.1:0", "INTAKE_ADDR=127.0.0.1:0", "WORKER_OPS_ADDR=127.0.0.1:0", "SCHEDULER_OPS_ADDR=127.0.0.1:0", "MAIL_ADDR=127.0.0.1:0",
	}, environ...)
	wd, err := os.Getwd()
	require.NoError(t, err)
	s, err := newSettings(t.Context(), environ, wd, fakes())
	require.NoError(t, err)
	return start(t, s)
}

func start(t *testing.T, s settings) *trial {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	x := &trial{screen: &screen{}, cancel: cancel, result: make(chan error, 1)}
	x.stack = &stack{settings: s, out: newTerminal(x.screen), now: time.Now}
	go func() {
		x.result <- x.run(ctx, t.Context())
		close(x.result)
	}()
	t.Cleanup(func() {
		cancel()
		<-x.result
		if t.Failed() {
			t.Log(x.screen)
		}
	})
	return x
}

// up waits until the stack is up, and returns what stack.json says.
func (x *trial) up(t *testing.T) map[string]any {
	t.Helper()
	var b []byte
	isUp := proc.Poll(t.Context(), soon, func() bool {
		var err error
		b, err = os.ReadFile(x.path(stackFile))
		return err == nil || len(x.result) > 0
	})
	if !isUp || b == nil {
		x.cancel()
		require.NoError(t, <-x.result)
		require.Fail(t, "the stack did not come up")
	}
	var content map[string]any
	require.NoError(t, json.Unmarshal(b, &content))
	return content
}

// identities are those of the processes that run.
func (x *trial) identities(t *testing.T) []proc.Identity {
	t.Helper()
	b, err := os.ReadFile(x.path(processesFile))
	require.NoError(t, err)
	var list []noted
	require.NoError(t, json.Unmarshal(b, &list))
	ids := make([]proc.Identity, 0, len(list))
	for _, n := range list {
		assert.True(t, n.IsAlive(), n.Name)
		ids = append(ids, n.Identity)
	}
	return ids
}

func (x *trial) assertDown(t *testing.T, ids []proc.Identity) {
	t.Helper()
	for _, id := range ids {
		assert.False(t, id.IsAlive())
	}
	assert.NoFileExists(t, x.path(stackFile))
	assert.NoFileExists(t, x.path(processesFile))
	assert.NoFileExists(t, x.path("postgres/cluster/data/postmaster.pid"))
	for _, a := range x.addresses {
		assert.NoError(t, proc.IsFree(t.Context(), a.String()))
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(response.Body)
	require.NoError(t, err)
	return b.String()
}

func TestStack(t *testing.T) {
	t.Parallel()

	t.Run("brings everything up, and down again when it is asked to stop", func(t *testing.T) {
		t.Parallel()
		x := try(t)
		content := x.up(t)
		api := "http://127.0.0.1:" + strconv.Itoa(x.addresses["API_ADDR"].port)
		assert.Equal(t, map[string]any{
			"api": api, "intake": x.addresses["INTAKE_ADDR"].origin(), "mail": x.addresses["MAIL_ADDR"].origin(), "demo": map[string]any{
				"email": "demo@example.com", "password": x.secrets.Demo.Password, "tenant_id": "a-tenant", "api_key": "gw_live_fake",
			},
		}, content)
		info, err := os.Stat(x.path(stackFile))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())

		for ops, want := range map[string]string{
			"API_OPS_ADDR":       `{"DATABASE_URL":"groundwork_app in groundwork","environment":"development","public_url":"` + api + `"}`,
			"WORKER_OPS_ADDR":    `{"DATABASE_URL":"groundwork_worker in groundwork","SYSTEM_DATABASE_URL":"groundwork_system in groundwork","environment":"development","public_url":"` + api + `"}`,
			"SCHEDULER_OPS_ADDR": `{"DATABASE_URL":"groundwork_system in groundwork","SYSTEM_DATABASE_URL":"groundwork_system in groundwork","environment":"development","public_url":"` + api + `"}`,
		} {
			assert.JSONEq(t, want, get(t, x.addresses[ops].origin()+"/readyz"), ops)
		}
		ids := x.identities(t)
		require.Len(t, ids, 3)

		second := &stack{settings: x.settings, out: newTerminal(&screen{}), now: time.Now}
		require.ErrorContains(t, second.run(t.Context(), t.Context()), "another run (process "+strconv.Itoa(os.Getpid())+") uses "+x.dir)
		assert.FileExists(t, x.path(stackFile), "the second run removed what the first one wrote")

		x.cancel()
		require.NoError(t, <-x.result)
		x.assertDown(t, ids)
		assert.Contains(t, x.screen.String(), "scheduler | hello from scheduler\n")
		assert.Contains(t, x.screen.String(), "worker    | bye from worker\n")
		assert.Contains(t, x.screen.String(), "curl "+api+"/api/v1/customers -H 'Authorization: Bearer gw_live_fake'")
		log, err := os.ReadFile(x.path("logs/api.log"))
		require.NoError(t, err)
		assert.Equal(t, "hello from api\nbye from api\n", string(log))
	})

	t.Run("stops with the last words of a process that dies", func(t *testing.T) {
		t.Parallel()
		x := try(t)
		x.up(t)
		ids := x.identities(t)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, x.addresses["WORKER_OPS_ADDR"].origin()+"/die", http.NoBody)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
		}
		err = <-x.result
		require.ErrorContains(t, err, "the worker has ended (exit status 4)")
		require.ErrorContains(t, err, "fatal: asked to die")
		require.ErrorContains(t, err, x.path("logs/worker.log"))
		x.assertDown(t, ids)
	})

	t.Run("stops with the database's last words when it ends", func(t *testing.T) {
		t.Parallel()
		x := try(t)
		x.up(t)
		ids := x.identities(t)
		require.NoError(t, x.postgres.Stop(t.Context()))
		require.ErrorContains(t, <-x.result, "PostgreSQL has ended")
		x.assertDown(t, ids)
	})

	t.Run("says why a process does not start", func(t *testing.T) {
		t.Parallel()
		x := try(t, "FAKE_DIES=scheduler")
		err := <-x.result
		require.ErrorContains(t, err, "the scheduler has ended (exit status 3)")
		require.ErrorContains(t, err, "fatal: the moon is wrong")
		x.assertDown(t, nil)
	})

	t.Run("stops while it is starting", func(t *testing.T) {
		t.Parallel()
		x := try(t, "FAKE_IS_UNREADY=api")
		require.True(t, proc.Poll(t.Context(), soon, func() bool {
			_, err := os.Stat(x.path(processesFile))
			return err == nil || len(x.result) > 0
		}))
		x.cancel()
		require.NoError(t, <-x.result)
		x.assertDown(t, nil)
		assert.NotContains(t, x.screen.String(), "Groundwork is up")
	})

	t.Run("starts nothing when a port is taken", func(t *testing.T) {
		t.Parallel()
		port, err := proc.FreePort(t.Context())
		require.NoError(t, err)
		l := listen(t, proc.Local(port))
		x := try(t, "WORKER_OPS_ADDR="+proc.Local(port))
		require.ErrorContains(t, <-x.result, "WORKER_OPS_ADDR: port "+strconv.Itoa(port)+" is taken by process "+strconv.Itoa(os.Getpid()))
		assert.NoDirExists(t, x.path("postgres"))
		require.NoError(t, l.Close())
	})

	t.Run("says what is wrong with the database it is given", func(t *testing.T) {
		t.Parallel()
		port, err := proc.FreePort(t.Context())
		require.NoError(t, err)
		x := try(t, "DATABASE_URL=postgres://somebody:geheim@"+proc.Local(port)+"/app?sslmode=disable")
		err = <-x.result
		require.ErrorContains(t, err, "DATABASE_URL: ")
		assert.NotContains(t, err.Error(), "geheim")
	})

	t.Run("shows what the compiler says", func(t *testing.T) {
		t.Parallel()
		wd, err := os.Getwd()
		require.NoError(t, err)
		s, err := newSettings(t.Context(), []string{"LOCAL_DIR=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, wd, []program{{name: "nothing", source: "./deployments/local/testdata/nothing"}})
		require.NoError(t, err)
		err = (&stack{settings: s, out: newTerminal(&screen{}), now: time.Now}).build(t.Context())
		require.ErrorContains(t, err, "build the processes: exit status 1")
		assert.ErrorContains(t, err, "testdata/nothing")
	})
}

func TestStack_uses_databases_it_is_given(t *testing.T) {
	t.Parallel()
	server, err := devstack.StartPostgres(t.Context(), devstack.Postgres{Ephemeral: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	redis, err := devstack.StartRedis(t.Context(), devstack.Redis{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, redis.Stop(context.WithoutCancel(t.Context()))) })
	x := try(t, "DATABASE_URL="+server.AdminURL, "REDIS_URL="+redis.URL)
	x.up(t)
	assert.Contains(t, get(t, x.addresses["API_OPS_ADDR"].origin()+"/readyz"), "groundwork_app in postgres")
	assert.NoDirExists(t, x.path("postgres"))
	assert.NoDirExists(t, x.path("redis"))
	assert.NotContains(t, x.screen.String(), server.AdminURL)
}

func TestEndLeftovers(t *testing.T) {
	t.Parallel()
	sleeper := func() proc.Identity {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "sleep", "600")
		p, err := proc.Start(cmd, proc.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, p.Stop(context.WithoutCancel(t.Context()))) })
		id, ok := proc.Identify(p.Pid)
		require.True(t, ok)
		return id
	}
	ours, strangers := sleeper(), sleeper()
	dir := t.TempDir()
	b, err := json.Marshal([]noted{{"api", ours}, {"worker", proc.Identity{Pid: strangers.Pid, Started: "before"}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, processesFile), b, 0o600))
	s := &stack{settings: settings{dir: dir}, out: newTerminal(&screen{}), now: time.Now}
	require.NoError(t, s.endLeftovers(t.Context()))
	assert.False(t, ours.IsAlive())
	assert.True(t, strangers.IsAlive(), "a stranger was ended")
	assert.NoFileExists(t, filepath.Join(dir, processesFile))
}
