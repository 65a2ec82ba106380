package redis_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/store/redis"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("succeeds_while_redis_is_away", func(t *testing.T) {
		t.Parallel()
		client := open(t, redis.Config{URL: "unix:///nowhere/at/all.sock"})
		require.ErrorContains(t, client.Ping(t.Context()), "ping redis")
	})
	t.Run("speaks_to_a_socket", func(t *testing.T) {
		t.Parallel()
		dir, err := os.MkdirTemp("", "gw") //nolint:usetesting // a socket's path has room for 107 bytes only
		require.NoError(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		socket := filepath.Join(dir, "socket")
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
		require.NoError(t, err)
		mini := startMini(t)
		mini.RequireUserAuth("app", "secret")
		serve(t, mini, listener)
		for db, raw := range []string{"unix://app:secret@" + socket, "redis+unix://app:secret@" + socket + "?db=1"} {
			command(t, open(t, redis.Config{URL: raw}), "SET", "k", "v")
			assert.True(t, mini.DB(db).Exists("k"), raw)
		}
	})
	t.Run("signs_in_names_itself_and_chooses_the_database", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		command(t, open(t, redis.Config{URL: s.URL}), "ACL", "SETUSER", "app", "on", ">p@ss:w/rd", "~*", "&*", "+@all")
		at, err := url.Parse(s.URL)
		require.NoError(t, err)
		client := open(t, redis.Config{URL: "redis://app:p%40ss%3Aw%2Frd@" + at.Host + "/5", ClientName: "groundwork-test"})
		info, err := redigo.String(client.Do(t.Context(), "CLIENT", "INFO"))
		require.NoError(t, err)
		assert.Contains(t, info, "name=groundwork-test")
		assert.Contains(t, info, "db=5")
		assert.Contains(t, info, "user=app")
		require.ErrorContains(t, open(t, redis.Config{URL: "redis://" + at.Host}).Ping(t.Context()), "NOAUTH")
	})
	t.Run("takes_a_password_alone_as_redis_cli_does", func(t *testing.T) {
		t.Parallel()
		mini := startMini(t)
		mini.RequireAuth("secret")
		for _, user := range []string{":secret@", "secret@"} {
			require.NoError(t, open(t, redis.Config{URL: "redis://" + user + mini.Addr() + "/2"}).Ping(t.Context()))
		}
		require.Error(t, open(t, redis.Config{URL: "redis://" + mini.Addr()}).Ping(t.Context()))
	})
	t.Run("speaks_tls_and_verifies_the_server", func(t *testing.T) {
		t.Parallel()
		addr, authorities := startTLS(t)
		trusting := redis.Config{URL: "rediss://" + addr, TLS: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}}
		require.NoError(t, open(t, trusting).Ping(t.Context()))
		require.ErrorContains(t, open(t, redis.Config{URL: "rediss://" + addr}).Ping(t.Context()), "certificate")
	})
	for name, raw := range map[string]string{
		"empty":             "",
		"no_scheme":         "localhost:6379",
		"another_scheme":    "http://:hunter2@localhost",
		"a_wrong_database":  "redis://:hunter2@localhost/first",
		"a_negative_one":    "redis://:hunter2@localhost/-1",
		"no_socket":         "unix://:hunter2@",
		"a_wrong_port":      "redis://:hunter2@localhost:port",
		"a_wrong_escape":    "redis://:hunter2%zz@localhost",
		"a_bare_percent":    "redis://u:hunter2 %@localhost:1/0",
		"a_slash_in_secret": "redis://u:hunter2/x@localhost:1/0",
		"an_option":         "redis://:hunter2@localhost/0?timeout=1",
		"no_password":       "redis://app:@localhost",
	} {
		t.Run("refuses_"+name+"_without_telling_the_password", func(t *testing.T) {
			t.Parallel()
			_, err := redis.Open(redis.Config{URL: raw})
			require.ErrorContains(t, err, "the URL of Redis")
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// startTLS starts a Redis behind a certificate and returns its address and who vouches for it.
func startTLS(tb testing.TB) (string, *x509.CertPool) {
	tb.Helper()
	issuer := httptest.NewUnstartedServer(nil) // brings a certificate for 127.0.0.1
	issuer.StartTLS()
	tb.Cleanup(issuer.Close)
	authorities := x509.NewCertPool()
	authorities.AddCert(issuer.Certificate())
	mini := startMini(tb)
	front, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: issuer.TLS.Certificates, MinVersion: tls.VersionTLS12})
	require.NoError(tb, err)
	serve(tb, mini, front)
	return front.Addr().String(), authorities
}

func TestClient(t *testing.T) {
	t.Parallel()
	t.Run("closes_connections_to_a_server_that_became_a_replica", func(t *testing.T) {
		t.Parallel()
		client := open(t, redis.Config{URL: startServer(t).URL, MaxActive: 1})
		before := command(t, client, "CLIENT", "ID")
		assert.Equal(t, before, command(t, client, "CLIENT", "ID"), "a healthy connection is kept")
		command(t, client, "REPLICAOF", "127.0.0.1", "1")
		_, err := client.Do(t.Context(), "SET", "k", "v")
		require.ErrorContains(t, err, "READONLY")
		assert.NotEqual(t, before, command(t, client, "CLIENT", "ID"))

		before = command(t, client, "CLIENT", "ID")
		_, err = client.Do(t.Context(), "EVAL", "return redis.call('SET', KEYS[1], 'v')", 1, "k")
		require.ErrorContains(t, err, "READONLY")
		assert.NotEqual(t, before, command(t, client, "CLIENT", "ID"), "a script's refusal counts as well")
	})
	t.Run("keeps_connections_over_other_errors", func(t *testing.T) {
		t.Parallel()
		client := open(t, redis.Config{URL: startServer(t).URL, MaxActive: 1})
		before := command(t, client, "CLIENT", "ID")
		_, err := client.Do(t.Context(), "NONSENSE")
		require.ErrorContains(t, err, "unknown command")
		assert.Equal(t, before, command(t, client, "CLIENT", "ID"))
	})
	t.Run("sees_through_connections_that_a_restart_broke", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		client := open(t, redis.Config{URL: s.URL, MaxActive: 8})
		var held []redigo.Conn
		for range 8 {
			c := client.Pool().Get()
			require.NoError(t, c.Err())
			held = append(held, c)
		}
		for _, c := range held {
			require.NoError(t, c.Close())
		}
		s.kill(t)
		s.start(t)
		require.Error(t, client.Ping(t.Context()), "one call learns of it")
		require.NoError(t, client.Ping(t.Context()), "the next is spared the seven others")
	})
	t.Run("lets_one_caller_try_a_dead_server_and_tells_the_others_at_once", func(t *testing.T) {
		t.Parallel()
		addr, accepted := startSilent(t)
		client := open(t, redis.Config{URL: "redis://:secret@" + addr, DialTimeout: time.Minute, ReadTimeout: time.Minute})
		var caller sync.WaitGroup
		caller.Go(func() { assert.Error(t, client.Ping(t.Context())) })
		require.NoError(t, (<-accepted).Close())
		caller.Wait()

		caller.Go(func() {
			for errors.Is(client.Ping(t.Context()), redis.ErrAway) { // until the pause is over
				runtime.Gosched()
			}
		})
		second := <-accepted
		for range 100 {
			require.ErrorIs(t, client.Ping(t.Context()), redis.ErrAway)
		}
		require.NoError(t, second.Close())
		caller.Wait()
	})
	t.Run("does_not_blame_the_server_for_a_caller_that_left", func(t *testing.T) {
		t.Parallel()
		client := open(t, redis.Config{URL: "redis://" + startMini(t).Addr()})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, client.Ping(ctx), context.Canceled)
		require.NoError(t, client.Ping(t.Context()))
	})
	t.Run("waits_no_longer_than_the_context", func(t *testing.T) {
		t.Parallel()
		addr, _ := startSilent(t)
		client := open(t, redis.Config{URL: "redis://" + addr, ReadTimeout: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		require.Error(t, client.Ping(ctx))
	})
	t.Run("lets_those_wait_who_find_no_free_connection", func(t *testing.T) {
		t.Parallel()
		client := open(t, redis.Config{URL: "redis://" + startMini(t).Addr(), MaxActive: 1})
		held := client.Pool().Get()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, client.Ping(ctx), context.DeadlineExceeded)
		require.NoError(t, held.Close())
		require.NoError(t, client.Ping(t.Context()))
	})
}

// startSilent listens, takes connections and never answers; it hands them out as they come.
func startSilent(tb testing.TB) (string, <-chan net.Conn) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	accepted := make(chan net.Conn, 1_000)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
		for c := range accepted {
			_ = c.Close()
		}
	})
	return listener.Addr().String(), accepted
}
