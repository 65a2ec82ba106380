package devstack

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

func startRedis(t *testing.T, r Redis) *RedisServer {
	t.Helper()
	r.Log = t.Logf
	s, err := StartRedis(t.Context(), r)
	// Somebody else may have been given the port that a server gave up, for a while.
	for begun := time.Now(); r.Port != 0 && err != nil && time.Since(begun) < 2*soon; {
		s, err = StartRedis(t.Context(), r)
	}
	if r.RequireReal && err != nil && strings.Contains(err.Error(), ErrNoRedis.Error()) {
		t.Skip("SKIPPED: " + err.Error())
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

// ask sends commands, each answered by one line, or by a length and a line.
func ask(t *testing.T, address string, commands ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(soon)))
	answers := bufio.NewReader(conn)
	if password, ok := u.User.Password(); ok {
		commands = append([]string{"AUTH " + password}, commands...)
	}
	var line string
	for _, c := range commands {
		words := strings.Fields(c)
		_, err = fmt.Fprintf(conn, "*%d\r\n", len(words))
		require.NoError(t, err)
		for _, w := range words {
			_, err = fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(w), w)
			require.NoError(t, err)
		}
		require.NoError(t, err)
		line, err = answers.ReadString('\n')
		require.NoError(t, err)
		if strings.HasPrefix(line, "$") && line != "$-1\r\n" {
			line, err = answers.ReadString('\n')
			require.NoError(t, err)
		}
	}
	return strings.TrimSpace(line)
}

func TestStartRedis(t *testing.T) {
	t.Parallel()

	t.Run("keeps data, password and port", func(t *testing.T) {
		t.Parallel()
		dir := privateHome(t)
		first := startRedis(t, Redis{Dir: dir, RequireReal: true})
		assert.Equal(t, "+OK", ask(t, first.URL, "SET kept 42"))
		require.NoError(t, first.Stop(t.Context()))
		require.NoError(t, first.Stop(t.Context()), "a second stop")
		second := startRedis(t, Redis{Dir: dir})
		for try := 0; try < 3 && first.URL != second.URL; try++ { // somebody else was given the port meanwhile
			require.NoError(t, second.Stop(t.Context()))
			first, second = second, startRedis(t, Redis{Dir: dir})
		}
		assert.True(t, second.Real)
		assert.Equal(t, first.URL, second.URL)
		assert.Equal(t, "42", ask(t, second.URL, "GET kept"))
	})

	for _, standIn := range []bool{false, true} {
		t.Run(fmt.Sprintf("asks for a password and lets keys expire (stand-in: %t)", standIn), func(t *testing.T) {
			t.Parallel()
			s := startRedis(t, Redis{RequireReal: !standIn, standIn: standIn})
			assert.Equal(t, !standIn, s.Real)
			u, err := url.Parse(s.URL)
			require.NoError(t, err)
			u.User = nil
			assert.Contains(t, ask(t, u.String(), "GET x"), "NOAUTH")
			assert.Equal(t, "+OK", ask(t, s.URL, "SET brief 1 PX 150"))
			eventually(t, "the key expires", func() bool { return ask(t, s.URL, "GET brief") == "$-1" })
		})
	}

	t.Run("comes back on the port it had, for tests of faults", func(t *testing.T) {
		t.Parallel()
		s := startRedis(t, Redis{RequireReal: true})
		id, ok := proc.Identify(s.Pid())
		require.True(t, ok)
		require.NoError(t, id.End(t.Context()))
		<-s.Done()
		require.ErrorContains(t, s.Err(), "killed")
		u, err := url.Parse(s.URL)
		require.NoError(t, err)
		password, _ := u.User.Password()
		var port int
		_, err = fmt.Sscan(u.Port(), &port)
		require.NoError(t, err)
		again := startRedis(t, Redis{Port: port, Password: password})
		assert.Equal(t, s.URL, again.URL)
	})

	t.Run("refuses a second one over the same directory", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		startRedis(t, Redis{Dir: dir})
		_, err := StartRedis(t.Context(), Redis{Dir: dir})
		var held *proc.HeldError
		require.ErrorAs(t, err, &held)
		assert.Equal(t, os.Getpid(), held.Pid)
	})

	t.Run("refuses the stand-in where only a real one will do", func(t *testing.T) {
		t.Parallel()
		_, err := StartRedis(t.Context(), Redis{RequireReal: true, standIn: true})
		assert.ErrorIs(t, err, ErrNoRedis)
	})

	t.Run("ends with its parent and is found again", func(t *testing.T) {
		t.Parallel()
		dir := privateHome(t)
		startRedis(t, Redis{RequireReal: true}) // skips where there is none
		before, kill := play(t, "redis", dir)
		assert.Equal(t, "+OK", ask(t, before.URL, "SET kept 42"))
		server, ok := proc.Identify(before.Pid)
		require.True(t, ok)
		kill()
		s := startRedis(t, Redis{Dir: dir})
		assert.False(t, server.IsAlive(), "two servers over one directory")
		assert.Equal(t, "42", ask(t, s.URL, "GET kept"))
	})

	t.Run("puts data aside that cannot be read", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first := startRedis(t, Redis{Dir: dir, RequireReal: true})
		assert.Equal(t, "+OK", ask(t, first.URL, "SET lost 42"))
		require.NoError(t, first.Stop(t.Context()))
		files, err := filepath.Glob(filepath.Join(dir, "appendonly*", "*.incr.aof"))
		require.NoError(t, err)
		if len(files) == 0 { // before Redis 7
			files = []string{filepath.Join(dir, "appendonly.aof")}
		}
		require.NoError(t, os.WriteFile(files[0], []byte("*3\r\n$3\r\nSET\r\nthis is no append-only file at all\r\n*1\r\n"), 0o600))
		s := startRedis(t, Redis{Dir: dir})
		assert.Equal(t, "$-1", ask(t, s.URL, "GET lost"))
		assert.FileExists(t, filepath.Join(dir, "broken", filepath.Base(files[0])))
	})

	t.Run("says why it does not start", func(t *testing.T) {
		t.Parallel()
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		taken, ok := l.Addr().(*net.TCPAddr)
		require.True(t, ok)
		_, err = StartRedis(t.Context(), Redis{Port: taken.Port, Password: "p"})
		assert.ErrorContains(t, err, "ddress already in use")
	})
}
