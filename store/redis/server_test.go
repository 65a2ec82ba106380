package redis_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	redigo "github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// server is a private redis-server, which a test may kill and start again in the same place.
type server struct {
	URL     string
	config  devstack.Redis
	running *devstack.RedisServer
}

// startServer starts a redis-server that ends with the test; without the program the test is skipped.
func startServer(tb testing.TB) *server {
	tb.Helper()
	return startServerIn(tb, "")
}

// startServerIn starts one that keeps its data in a folder.
func startServerIn(tb testing.TB, dir string) *server {
	tb.Helper()
	s := &server{config: devstack.Redis{Password: rand.Text(), RequireReal: true, Dir: dir}}
	s.start(tb)
	tb.Cleanup(func() { assert.NoError(tb, s.running.Stop(context.WithoutCancel(tb.Context()))) })
	at, err := url.Parse(s.URL)
	require.NoError(tb, err)
	s.config.Port, err = strconv.Atoi(at.Port())
	require.NoError(tb, err)
	return s
}

func (s *server) start(tb testing.TB) {
	tb.Helper()
	running, err := devstack.StartRedis(tb.Context(), s.config)
	// While it was away somebody else may have been given its port, for a while.
	for begun := time.Now(); err != nil && strings.Contains(err.Error(), "ddress already in use") && time.Since(begun) < 2*time.Minute; {
		running, err = devstack.StartRedis(tb.Context(), s.config)
	}
	if errors.Is(err, devstack.ErrNoRedis) {
		tb.Skipf("this test needs a real redis-server: %s", err)
	}
	require.NoError(tb, err)
	s.running, s.URL = running, running.URL
}

// kill ends the server as a power cut would.
func (s *server) kill(tb testing.TB) {
	tb.Helper()
	process, err := os.FindProcess(s.running.Pid())
	require.NoError(tb, err)
	require.NoError(tb, process.Kill())
	<-s.running.Done()
}

// startMini starts the Redis that bare machines have, inside the test's process.
func startMini(tb testing.TB) *miniredis.Miniredis {
	tb.Helper()
	mini := miniredis.NewMiniRedis()
	require.NoError(tb, mini.Start())
	tb.Cleanup(mini.Close)
	return mini
}

// serve answers what comes in at a listener as the Redis does, until the test ends.
func serve(tb testing.TB, mini *miniredis.Miniredis, listener net.Listener) {
	tb.Helper()
	tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mini.Server().ServeConn(c)
		}
	}()
}

// open opens a client that ends with the test. Unless the test says otherwise it has patience: a machine may stand still
// for seconds.
func open(tb testing.TB, config redis.Config) *redis.Client {
	tb.Helper()
	for _, timeout := range []*time.Duration{&config.DialTimeout, &config.ReadTimeout, &config.WriteTimeout} {
		*timeout = cmp.Or(*timeout, time.Minute)
	}
	client, err := redis.Open(config)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// onBoth runs a test on a real redis-server and on the one for bare machines.
func onBoth(t *testing.T, run func(t *testing.T, address string)) {
	t.Helper()
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		run(t, startServer(t).URL)
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		run(t, "redis://"+startMini(t).Addr())
	})
}

// command runs one command and fails the test where it does not succeed.
func command(tb testing.TB, client *redis.Client, name string, args ...any) any {
	tb.Helper()
	reply, err := client.Do(tb.Context(), name, args...)
	require.NoError(tb, err)
	return reply
}

func keysOf(tb testing.TB, client *redis.Client) []string {
	tb.Helper()
	keys, err := redigo.Strings(client.Do(tb.Context(), "KEYS", "*"))
	require.NoError(tb, err)
	return keys
}

// after is what follows a mark in a text.
func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}

// spread says how long something took, mostly and at worst.
func spread(took []time.Duration) string {
	slices.Sort(took)
	return fmt.Sprintf("p50 %s, p99 %s, most %s", took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}
