package redis_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/authority"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// A real redis-server that listens with TLS only, with a certificate of an authority of the test's own.
func TestTLS(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("this test needs a real redis-server")
	}
	ours, err := authority.New(time.Now())
	require.NoError(t, err)
	certificate, key, err := ours.Issue("localhost")
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	trusted := write("authority.pem", ours.PEM)
	port, err := proc.FreePort(t.Context())
	require.NoError(t, err)
	password := rand.Text()
	cmd := exec.CommandContext(t.Context(), program, "-")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(fmt.Sprintf("bind 127.0.0.1\nport 0\ntls-port %d\ntls-cert-file %s\ntls-key-file %s\ntls-ca-cert-file %s\n"+
		"tls-auth-clients no\nrequirepass %s\nsave \"\"\nappendonly no\n", port, write("cert.pem", certificate), write("key.pem", key), trusted, password))
	running, err := proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, running.Stop(t.Context(), proc.Step{Signal: syscall.SIGTERM, Wait: 10 * time.Second}))
	})
	at := func(scheme, host, parameters string) string {
		return fmt.Sprintf("%s://:%s@%s:%d/0%s", scheme, password, host, port, parameters)
	}
	believing := "?sslrootcert=" + trusted
	client := open(t, redis.Config{URL: at("rediss", "localhost", believing)})
	require.Eventually(t, func() bool { return client.Ping(t.Context()) == nil }, time.Minute, 10*time.Millisecond)

	command(t, client, "SET", "k", "v")
	got, err := redigo.String(client.Do(t.Context(), "GET", "k"))
	require.NoError(t, err)
	assert.Equal(t, "v", got)

	ping := func(address string) error { return open(t, redis.Config{URL: address}).Ping(t.Context()) }
	require.ErrorContains(t, ping(at("rediss", "localhost", "")), "certificate", "the system's authorities do not know it")
	require.ErrorContains(t, ping(at("rediss", "127.0.0.1", believing)), "cannot validate certificate", "it is another server's certificate")
	require.Error(t, ping(at("redis", "localhost", "")), "the server speaks TLS only")

	stranger, err := authority.New(time.Now())
	require.NoError(t, err)
	require.ErrorContains(t, ping(at("rediss", "localhost", "?sslrootcert="+write("stranger.pem", stranger.PEM))), "unknown authority")

	for parameters, says := range map[string]string{
		"?sslrootcert=" + filepath.Join(dir, "none.pem"):        "read sslrootcert",
		"?sslrootcert=" + write("empty.pem", []byte("not PEM")): "holds no certificate",
		believing + "&sslmode=require":                          "there is no other parameter",
		"?sslrootcert=":                                         "there is no other parameter",
	} {
		_, err := redis.Open(redis.Config{URL: at("rediss", "localhost", parameters)})
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), password)
	}
	_, err = redis.Open(redis.Config{URL: at("redis", "localhost", believing)})
	require.ErrorContains(t, err, "rediss:// may have")
}
