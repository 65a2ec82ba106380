package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// Postgres says how to run a private PostgreSQL.
type Postgres struct {
	// Dir keeps the cluster, its password, its port and its log. It is made where it is missing. "" is allowed with
	// Ephemeral only, and means a new directory for temporary files.
	Dir string
	// BinDirs are looked at for PostgreSQL's programs before the usual places.
	BinDirs []string
	// Settings are added to the server's settings, over the defaults: {"max_connections": "50"}.
	Settings map[string]string
	// Ephemeral is for tests: nothing is synced to disk, and Dir is removed when the server stops.
	Ephemeral bool
	// StartTimeout is how long the server may take to accept connections, recovery included; 0 means a minute.
	StartTimeout time.Duration
	// Log is told what takes time or was mended ("fetching PostgreSQL…"); nil drops it.
	Log func(format string, args ...any)

	// outlives starts the server in a session of its own, and without the signal that ends it with its parent.
	outlives bool
}

func (p Postgres) logf(format string, args ...any) {
	if p.Log != nil {
		p.Log(format, args...)
	}
}

// Server is a PostgreSQL that runs.
type Server struct {
	// AdminURL connects to the database "postgres" as the cluster's superuser.
	AdminURL string

	process *proc.Process
	cluster *cluster
	lock    *proc.FileLock
	leave   func(context.Context) error
	stop    sync.Once
	stopped error
}

// StartPostgres brings up a private PostgreSQL and returns when it accepts connections. A first start makes the cluster
// (about a second); a later one finds its data again. A server that an earlier run left over the same Dir is stopped
// first, so there are never two.
//
// The error is a *proc.HeldError where another living process runs a server over Dir; other errors say what is wrong in
// words for whoever sits in front of the terminal, with the server's last log lines.
//
// Nothing but 127.0.0.1 is listened on, with a password; there is no Unix socket, as its path may be too long or out of reach
// for the user that the server runs as.
func StartPostgres(ctx context.Context, p Postgres) (*Server, error) {
	if p.Dir == "" {
		if !p.Ephemeral {
			return nil, errors.New("a PostgreSQL that keeps its data needs a directory")
		}
		sweepEphemeral(os.TempDir())
		dir, err := os.MkdirTemp("", ephemeralPrefix)
		if err != nil {
			return nil, fmt.Errorf("make a directory for PostgreSQL: %w", err)
		}
		p.Dir = dir
	}
	c, err := openCluster(p)
	if err != nil {
		return nil, err
	}
	lock, err := proc.Lock(c.path("lock"))
	if err != nil {
		return nil, err
	}
	process, port, err := c.start(ctx)
	if err != nil {
		if p.Ephemeral {
			err = errors.Join(err, c.remove())
		}
		return nil, errors.Join(err, lock.Unlock())
	}
	return &Server{AdminURL: c.adminURL(port), process: process, cluster: c, lock: lock}, nil
}

const ephemeralPrefix = "groundwork-postgres-"

// sweepEphemeral removes the directories of ephemeral servers whose process was killed: those that nobody has locked, though
// there was time enough to. What cannot be removed is somebody else's.
func sweepEphemeral(dir string) {
	found, err := filepath.Glob(filepath.Join(dir, ephemeralPrefix+"*"))
	if err != nil {
		return // the pattern is a constant
	}
	for _, path := range found {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < 5*time.Minute {
			continue
		}
		if lock, err := proc.Lock(filepath.Join(path, "lock")); err == nil {
			_ = os.RemoveAll(path)
			_ = lock.Unlock()
		}
	}
}

// Done is closed when the server has ended, whether asked to or not; it is nil for a server that was not started here.
func (s *Server) Done() <-chan struct{} {
	if s.process == nil {
		return nil
	}
	return s.process.Done()
}

// Err says why a server that is Done ended, with its last log lines.
func (s *Server) Err() error {
	if s.process == nil {
		return nil
	}
	return s.cluster.explain("PostgreSQL has ended", s.process.Err())
}

// Pid is the server's process, for trials of faults that end it in other ways than Stop; 0 for a server that was not
// started here.
func (s *Server) Pid() int {
	if s.process == nil {
		return 0
	}
	return s.process.Pid
}

// Stop ends the server: connections are cut, what was committed is kept. It waits until the process is gone. For a server
// that was not started here, or is shared and still in use, it does nothing. It may be called more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		if s.leave != nil {
			s.stopped = s.leave(ctx)
			return
		}
		if s.process == nil {
			return
		}
		s.stopped = s.process.Stop(ctx, s.cluster.stopSteps()...)
		if s.cluster.Ephemeral {
			s.stopped = errors.Join(s.stopped, s.cluster.remove())
		}
		s.stopped = errors.Join(s.stopped, s.lock.Unlock())
	})
	return s.stopped
}

// stopSteps are PostgreSQL's fast and immediate shutdown.
func (c *cluster) stopSteps() []proc.Step {
	immediate := proc.Step{Signal: syscall.SIGQUIT, Wait: 10 * time.Second}
	if c.Ephemeral {
		return []proc.Step{immediate}
	}
	return []proc.Step{{Signal: syscall.SIGINT, Wait: 20 * time.Second}, immediate}
}

func (c *cluster) adminURL(port int) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, c.password), Host: proc.Local(port),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

// arguments are the server's settings as its command line takes them, in a fixed order.
func (c *cluster) arguments(port int) []string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    fmt.Sprint(port),
		"unix_socket_directories": "",
		"cluster_name":            "groundwork",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"log_line_prefix":         "%m [%p] %q%u@%d ",
		"logging_collector":       "off",
		"max_connections":         "200",
		"shared_buffers":          "128MB",
	}
	if c.Ephemeral {
		maps.Copy(settings, map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300",
		})
	}
	maps.Copy(settings, c.Settings)
	args := []string{"-D", c.dataArg()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
