package devstack

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

const soon = time.Minute

// scene is what the test binary says when it plays a process that is killed.
type scene struct {
	URL string `json:"url"`
	Pid int    `json:"pid"`
}

// TestMain lets the test binary play that process.
func TestMain(m *testing.M) {
	part, dir, isPart := strings.Cut(os.Getenv("DEVSTACK_TEST_PART"), "=")
	if !isPart {
		os.Exit(m.Run())
	}
	var s scene
	var err error
	ctx := context.Background()
	switch part {
	case "postgres":
		var server *Server
		if server, err = StartPostgres(ctx, Postgres{Dir: dir}); err == nil {
			s = scene{server.AdminURL, server.process.Pid}
		}
	case "shared":
		var server *Server
		if server, err = join(ctx, dir); err == nil {
			s.URL = server.AdminURL
		}
	case "redis":
		var server *RedisServer
		if server, err = StartRedis(ctx, Redis{Dir: dir, RequireReal: true}); err == nil {
			s = scene{server.URL, server.Pid()}
		}
	}
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		panic(err)
	}
	select {}
}

// play starts this test binary in a part; the returned function kills it.
func play(t *testing.T, part, dir string) (scene, func()) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "DEVSTACK_TEST_PART="+part+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var s scene
	require.NoError(t, json.Unmarshal(line, &s))
	return s, kill
}

// eventually waits for what gives no signal.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	require.True(t, proc.Poll(t.Context(), soon, ask), what)
}

// privateHome is a directory that only its owner can reach, deep enough to have a way that others cannot traverse.
func privateHome(t *testing.T) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(home, 0o700))
	return filepath.Join(home, "project", ".local")
}

func startPostgres(t *testing.T, p Postgres) *Server {
	t.Helper()
	p.Log = t.Logf
	s, err := StartPostgres(t.Context(), p)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// query returns the one value that a statement gives, as text.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(t.Context())
	var v any
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&v))
	return fmt.Sprint(v)
}

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(t.Context())
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}
