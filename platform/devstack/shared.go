package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// SharedPostgres joins the ephemeral PostgreSQL that all test processes of this user share, and starts it where there
// is none: `go test ./...` runs each package in a process of its own, and one server serves them all. Where
// TEST_DATABASE_URL is set, that administrator's URL is used instead and nothing is started.
//
// Stop leaves it; the last to leave ends the server and removes its files, and whoever comes later starts another. Join
// once per process, not per test, or the server comes and goes with each.
//
// How it works. Everything is below one private directory for temporary files. Joining and leaving happen under a lock, so
// a newcomer never joins a server that is just being ended. The server itself belongs to no test process, since any of them may be
// the last: a small shell script watches over it. Each user of the server holds the writing end of a pipe that the script
// reads; when the last one is gone, however it died, the script reads the end of the file, ends the server and removes its
// files. A newcomer proves that the script is still there, and past no point of no return, by having it answer a token.
func SharedPostgres(ctx context.Context) (*Server, error) {
	if url := os.Getenv("TEST_DATABASE_URL"); url != "" {
		return &Server{AdminURL: url}, nil
	}
	s, err := join(ctx, filepath.Join(os.TempDir(), "groundwork-test-"+strconv.Itoa(os.Geteuid())))
	if err != nil {
		return nil, fmt.Errorf("share a PostgreSQL among tests (or set TEST_DATABASE_URL): %w", err)
	}
	return s, nil
}

// shared is one process's part in a server that several share.
type shared struct {
	base string // of all such servers
	dir  string // of this one
	// pipe is the writing end of the pipe that the watchdog reads.
	pipe *os.File
	// users is locked in shared mode by everyone who uses the server.
	users *proc.FileLock
}

func join(ctx context.Context, base string) (*Server, error) {
	lock, err := lockBase(ctx, base)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock() //nolint:errcheck // the kernel frees it with the process at the latest
	entries, err := os.ReadDir(base)
	if err != nil {
		return nil, fmt.Errorf("look for a server: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		s := &shared{base: base, dir: filepath.Join(base, e.Name())}
		if url, err := s.attach(ctx); err == nil {
			return &Server{AdminURL: url, leave: s.leave}, nil
		}
		// Somebody may still use a server whose watchdog is gone; it is theirs to remove.
		if s.isUsed() {
			continue
		}
		if err := s.sweep(ctx); err != nil {
			return nil, err
		}
	}
	s := &shared{base: base, dir: filepath.Join(base, rand.Text()[:8])}
	url, err := s.create(ctx)
	if err != nil {
		return nil, errors.Join(err, s.sweep(context.WithoutCancel(ctx)))
	}
	return &Server{AdminURL: url, leave: s.leave}, nil
}

// lockBase makes the directory and takes its lock; the last to leave removes both, maybe just now.
func lockBase(ctx context.Context, base string) (*proc.FileLock, error) {
	for {
		if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("make a directory: %w", err)
		}
		info, err := os.Lstat(base)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at the directory: %w", err)
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(owner.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
			return nil, fmt.Errorf("%s is not a private directory of yours: remove it, or set TMPDIR", base)
		}
		lock, err := proc.LockWait(ctx, filepath.Join(base, "lock"))
		if !errors.Is(err, os.ErrNotExist) {
			return lock, err
		}
	}
}

// attach joins a server that runs.
func (s *shared) attach(ctx context.Context) (string, error) {
	url, err := os.ReadFile(s.path("url"))
	if err != nil {
		return "", fmt.Errorf("read its address: %w", err)
	}
	if s.users, err = proc.LockShared(s.path("users")); err != nil {
		return "", err
	}
	if s.pipe, err = os.OpenFile(s.path("alive"), os.O_WRONLY|syscall.O_NONBLOCK, 0); err != nil {
		return "", fmt.Errorf("find its watchdog: %w", err)
	}
	if err := s.greet(ctx); err != nil {
		return "", err
	}
	return string(url), nil
}

// isUsed says whether others use the server, and gives up our part in it if so.
func (s *shared) isUsed() bool {
	if s.users == nil {
		var err error
		if s.users, err = proc.LockShared(s.path("users")); err != nil {
			return true
		}
	}
	if s.users.Upgrade() {
		return false
	}
	if s.pipe != nil {
		_ = s.pipe.Close()
	}
	_ = s.users.Unlock()
	return true
}

// greet has the watchdog answer.
func (s *shared) greet(ctx context.Context) error {
	token := rand.Text()
	if _, err := s.pipe.WriteString(token + "\n"); err != nil {
		return fmt.Errorf("greet the watchdog: %w", err)
	}
	answer := s.path("hello-" + token)
	if !proc.Poll(ctx, 10*time.Second, func() bool { _, err := os.Lstat(answer); return err == nil }) {
		return errors.New("the watchdog does not answer")
	}
	return os.Remove(answer) //nolint:wrapcheck // the path is in it
}

// watchdog ends the server in $1 when nobody holds its pipe any more. What it does is what sweep does, in the shell, as a
// test binary cannot leave a process of its own behind.
const watchdog = `
exec 3<"$1/alive"
while read -r token <&3; do : >"$1/hello-$token"; done
pidfile=$1/cluster/data/postmaster.pid
if [ -r "$pidfile" ]; then
	read -r pid <"$pidfile"
	if [ -r "/proc/$pid/comm" ]; then read -r name <"/proc/$pid/comm"; else name=$(ps -o comm= -p "$pid"); fi
	case $name in *postgres*) kill -QUIT "$pid" ;; esac
	n=0
	while [ -e "$pidfile" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
fi
rm -rf "$1"
`

// create starts the watchdog, then the server.
func (s *shared) create(ctx context.Context) (string, error) {
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return "", fmt.Errorf("make a directory: %w", err)
	}
	if err := syscall.Mkfifo(s.path("alive"), 0o600); err != nil {
		return "", fmt.Errorf("make a pipe: %w", err)
	}
	var err error
	if s.users, err = proc.LockShared(s.path("users")); err != nil {
		return "", err
	}
	//nolint:gosec // the script is a constant and the directory its argument
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", watchdog, "groundwork-test-watchdog", s.dir)
	cmd.Dir = "/"
	dog, err := proc.Start(cmd, proc.Options{Session: true})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(s.path("watchdog"), []byte(strconv.Itoa(dog.Pid)), 0o600); err != nil {
		return "", fmt.Errorf("note the watchdog: %w", err)
	}
	proc.Poll(ctx, time.Minute, func() bool {
		s.pipe, err = os.OpenFile(s.path("alive"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err == nil
	})
	if err != nil {
		return "", fmt.Errorf("find the watchdog: %w", err)
	}
	c, err := openCluster(Postgres{Dir: s.dir, Ephemeral: true, outlives: true})
	if err != nil {
		return "", err
	}
	_, port, err := c.start(ctx)
	if err != nil {
		return "", err
	}
	url := c.adminURL(port)
	if err := WriteFile(s.path("url"), []byte(url), 0o600); err != nil {
		return "", fmt.Errorf("note the server's address: %w", err)
	}
	return url, nil
}

// leave ends the server if nobody else uses it.
func (s *shared) leave(ctx context.Context) error {
	lock, err := lockBase(ctx, s.base)
	if err != nil {
		return err
	}
	if !s.users.Upgrade() {
		return errors.Join(s.users.Unlock(), s.pipe.Close(), lock.Unlock())
	}
	if err := s.sweep(ctx); err != nil {
		return errors.Join(err, lock.Unlock())
	}
	// Other servers' directories are those of watchdogs at work.
	if entries, err := os.ReadDir(s.base); err != nil || len(entries) > 1 {
		return errors.Join(err, lock.Unlock())
	}
	if err := lock.Remove(); err != nil {
		return err
	}
	// A newcomer may have made a new lock file there already, so that the directory stays.
	if err := os.Remove(s.base); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the shared directory: %w", err)
	}
	return nil
}

// sweep ends whatever runs in the directory and removes it. The lock is held, and nobody uses the server.
func (s *shared) sweep(ctx context.Context) error {
	c := &cluster{Postgres: Postgres{Dir: s.dir, Ephemeral: true}}
	if err := c.endLeftover(ctx); err != nil {
		return err
	}
	dog := s.watchdog()
	if s.pipe != nil {
		_ = s.pipe.Close()
	}
	if s.users != nil {
		_ = s.users.Unlock()
	}
	// The watchdog removes the directory too; whoever comes second finds less to do.
	if !proc.Poll(ctx, 10*time.Second, func() bool { return os.RemoveAll(s.dir) == nil }) {
		return fmt.Errorf("remove %s: it is written to by somebody else", s.dir)
	}
	proc.Poll(ctx, 10*time.Second, func() bool { return !dog.IsAlive() })
	return nil
}

func (s *shared) watchdog() proc.Identity {
	b, err := os.ReadFile(s.path("watchdog"))
	if err != nil {
		return proc.Identity{}
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		return proc.Identity{}
	}
	id, ok := proc.Identify(pid)
	if !ok || !strings.Contains(id.Command(), s.dir) {
		return proc.Identity{}
	}
	return id
}

func (s *shared) path(name string) string { return filepath.Join(s.dir, name) }
