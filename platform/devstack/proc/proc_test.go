package proc_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

const soon = time.Minute

// TestMain lets the test binary play the part of a process that is killed.
func TestMain(m *testing.M) {
	switch part, arg, _ := strings.Cut(os.Getenv("PROC_TEST_PART"), "="); part {
	case "parent":
		p, err := proc.Start(exec.CommandContext(context.Background(), "sleep", "600"), proc.Options{DeathSignal: syscall.SIGKILL})
		if err != nil {
			panic(err)
		}
		fmt.Println(p.Pid)
		select {}
	case "holder":
		if _, err := proc.Lock(arg); err != nil {
			panic(err)
		}
		fmt.Println("locked")
		select {}
	}
	os.Exit(m.Run())
}

// play starts this test binary in a part and returns its process and its first line.
func play(t *testing.T, part string) (*exec.Cmd, string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "PROC_TEST_PART="+part)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd, strings.TrimSpace(line)
}

func start(t *testing.T, o proc.Options, name string, args ...string) *proc.Process {
	t.Helper()
	p, err := proc.Start(exec.CommandContext(context.WithoutCancel(t.Context()), name, args...), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Stop(context.WithoutCancel(t.Context()))) })
	return p
}

func TestStart(t *testing.T) {
	t.Parallel()

	t.Run("ends the child when its parent is killed", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("only Linux can do it")
		}
		parent, line := play(t, "parent")
		pid, err := strconv.Atoi(line)
		require.NoError(t, err)
		child, ok := proc.Identify(pid)
		require.True(t, ok)
		require.NoError(t, parent.Process.Signal(syscall.SIGKILL))
		assert.True(t, proc.Poll(t.Context(), soon, func() bool { return !child.IsAlive() }), "the child outlived its parent")
	})

	t.Run("keeps the child when the thread of whoever asked for it ends", func(t *testing.T) {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), "cat")
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		type result struct {
			p   *proc.Process
			err error
			tid int
		}
		results := make(chan result)
		var ask func()
		ask = func() {
			runtime.LockOSThread() // and never unlocks: its thread ends with it
			tid := gettid()
			if tid == os.Getpid() {
				// Except for the first thread, which stays. While we hold it, another goroutine gets another thread.
				next := make(chan struct{})
				go func() {
					defer close(next)
					ask()
				}()
				<-next
				return
			}
			p, err := proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL})
			results <- result{p, err, tid}
		}
		go ask()
		r := <-results
		require.NoError(t, r.err)
		require.True(t, proc.Poll(t.Context(), soon, func() bool { return !threadLives(r.tid) }))
		_, err = io.WriteString(in, "still here\n")
		require.NoError(t, err)
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "still here\n", line)
		require.NoError(t, in.Close())
		require.NoError(t, r.p.Err())
	})

	t.Run("says what could not be started", func(t *testing.T) {
		t.Parallel()
		_, err := proc.Start(exec.CommandContext(t.Context(), "/nowhere/at-all"), proc.Options{})
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.ErrorContains(t, err, "/nowhere/at-all")
	})
}

func TestStop(t *testing.T) {
	t.Parallel()

	t.Run("kills the group of a process that does not listen", func(t *testing.T) {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `trap "" TERM; sleep 600 & echo $!; wait; wait`)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		p, err := proc.Start(cmd, proc.Options{})
		require.NoError(t, err)
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		require.NoError(t, err)
		grandchild, ok := proc.Identify(pid)
		require.True(t, ok)
		require.NoError(t, p.Stop(t.Context(), proc.Step{Signal: syscall.SIGTERM, Wait: 20 * time.Millisecond}))
		require.Error(t, p.Err())
		assert.True(t, proc.Poll(t.Context(), soon, func() bool { return !grandchild.IsAlive() }))
	})

	t.Run("is content with a process that has ended", func(t *testing.T) {
		t.Parallel()
		p := start(t, proc.Options{}, "true")
		require.NoError(t, p.Err())
		require.NoError(t, p.Stop(t.Context(), proc.Step{Signal: syscall.SIGTERM, Wait: soon}))
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()

	t.Run("tells a process from a later one with the same id", func(t *testing.T) {
		t.Parallel()
		p := start(t, proc.Options{}, "sleep", "600")
		id, ok := proc.Identify(p.Pid)
		require.True(t, ok)
		assert.True(t, id.IsAlive())
		assert.Contains(t, id.Command(), "sleep 600")
		parent, ok := id.Parent()
		assert.True(t, ok)
		assert.Equal(t, os.Getpid(), parent)
		earlier := proc.Identity{Pid: id.Pid, Started: "1@another-boot"}
		assert.False(t, earlier.IsAlive())
		require.NoError(t, earlier.End(t.Context(), proc.Step{Signal: syscall.SIGKILL, Wait: soon}))
		assert.True(t, id.IsAlive(), "a stranger was killed")
	})

	t.Run("ends a process that is not a child", func(t *testing.T) {
		t.Parallel()
		p := start(t, proc.Options{}, "sh", "-c", `trap "" TERM; while :; do sleep 600; done`)
		id, ok := proc.Identify(p.Pid)
		require.True(t, ok)
		require.NoError(t, id.End(t.Context(), proc.Step{Signal: syscall.SIGTERM, Wait: 20 * time.Millisecond}))
		assert.False(t, id.IsAlive())
	})
}

func TestLock(t *testing.T) {
	t.Parallel()

	t.Run("names who holds it", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lock")
		holder, _ := play(t, "holder="+path)
		_, err := proc.Lock(path)
		var held *proc.HeldError
		require.ErrorAs(t, err, &held)
		assert.Equal(t, holder.Process.Pid, held.Pid)
		assert.ErrorContains(t, err, path)
	})

	t.Run("is free when its holder was killed", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lock")
		holder, _ := play(t, "holder="+path)
		require.NoError(t, holder.Process.Kill())
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		l, err := proc.LockWait(ctx, path)
		require.NoError(t, err)
		require.NoError(t, l.Unlock())
	})

	t.Run("waits no longer than the context", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lock")
		l, err := proc.Lock(path)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		_, err = proc.LockWait(ctx, path)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, l.Remove())
		assert.NoFileExists(t, path)
	})

	t.Run("knows whether it is shared", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lock")
		a, err := proc.LockShared(path)
		require.NoError(t, err)
		b, err := proc.LockShared(path)
		require.NoError(t, err)
		assert.False(t, a.Upgrade())
		require.NoError(t, a.Unlock())
		assert.True(t, b.Upgrade())
		_, err = proc.LockShared(path)
		var held *proc.HeldError
		require.ErrorAs(t, err, &held)
		require.NoError(t, b.Unlock())
	})
}

func TestPortHolder(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr, ok := l.Addr().(*net.TCPAddr)
	require.True(t, ok)
	require.Error(t, proc.IsFree(t.Context(), proc.Local(addr.Port)))
	id, ok := proc.PortHolder(addr.Port)
	require.True(t, ok)
	assert.Equal(t, os.Getpid(), id.Pid)
	require.NoError(t, l.Close())
}

func TestFreePort(t *testing.T) {
	t.Parallel()
	port, err := proc.FreePort(t.Context())
	require.NoError(t, err)
	assert.Positive(t, port)
	assert.Equal(t, fmt.Sprintf("127.0.0.1:%d", port), proc.Local(port))
}
