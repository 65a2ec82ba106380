package devstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// superuser is the cluster's administrator in the database; it has nothing to do with the system's user.
const superuser = "postgres"

// cluster is a directory with a PostgreSQL cluster in it:
//
//	lock          held by the process that runs the server
//	password      of the superuser, mode 0600
//	port          that was used last
//	postgres.log  what the server says
//	cluster/      owned by the user that the server runs as, mode 0700
//	cluster/data  PostgreSQL's data directory
type cluster struct {
	Postgres
	user     *unprivileged
	password string
	programs programs
}

func openCluster(p Postgres) (*cluster, error) {
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, fmt.Errorf("find PostgreSQL's directory: %w", err)
	}
	p.Dir = dir
	c := &cluster{Postgres: p}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, c.explain("make PostgreSQL's directory", err)
	}
	if err := c.checkSpace(); err != nil {
		return nil, err
	}
	if c.user, err = unprivilegedUser(c.path("cluster")); err != nil {
		return nil, err
	}
	if err := c.user.own(c.path("cluster")); err != nil {
		return nil, c.explain("make PostgreSQL's directory", err)
	}
	return c, nil
}

func (c *cluster) path(name string) string { return filepath.Join(c.Dir, name) }
func (c *cluster) data() string            { return filepath.Join(c.Dir, "cluster", "data") }

// dataArg is the data directory as the server finds it.
func (c *cluster) dataArg() string { return c.reach("data") }

// reach is a path below cluster/ as the server's user can reach it.
//
// PostgreSQL refuses to run as root, so root runs it as another user, and that user can usually not traverse the way to
// the directory: it lies below /root, or below a temporary directory of mode 0700. Opening up somebody's home is out of the question,
// and data elsewhere would neither be found nor removed together with the directory. So the server inherits an open
// descriptor of cluster/, number 3, and is given the path of that: the kernel follows it without looking at the
// directories above. PostgreSQL changes into its data directory and hands the descriptor down to its children,
// so the path stays good for all of them. Where there is no /proc, the plain path must do.
func (c *cluster) reach(name string) string {
	if c.user == nil || runtime.GOOS != "linux" {
		return filepath.Join(c.Dir, "cluster", name)
	}
	return "/proc/self/fd/3/" + name
}

// command prepares one of PostgreSQL's programs to run as the server's user. The caller closes the returned file after the
// program was started.
func (c *cluster) command(ctx context.Context, program string, args ...string) (*exec.Cmd, *os.File, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.programs.dir, program), args...) //nolint:gosec // found by us
	cmd.Dir = "/"
	cmd.Env = environment()
	if c.user == nil {
		return cmd, nil, nil
	}
	dir, err := os.Open(c.path("cluster"))
	if err != nil {
		return nil, nil, fmt.Errorf("open PostgreSQL's directory: %w", err)
	}
	cmd.ExtraFiles = []*os.File{dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user.credential()}
	return cmd, dir, nil
}

// environment keeps what programs need to be found and loaded, and neither PG… variables, which would change what the
// programs do, nor the secrets of whoever runs us.
func environment() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// prepare finds the programs, makes the cluster where there is none, and learns its password.
func (c *cluster) prepare(ctx context.Context) error {
	version, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	isNew := errors.Is(err, os.ErrNotExist)
	if err != nil && !isNew {
		return c.explain("read PostgreSQL's directory", err)
	}
	f := finder{
		dirs: slices.Concat(c.BinDirs, installed()), as: c.user,
		fetch: func(ctx context.Context) (string, error) { return fetch(ctx, c.user, c.logf) },
	}
	if c.programs, err = f.find(ctx, strings.TrimSpace(string(version))); err != nil {
		var other *versionError
		if errors.As(err, &other) {
			return fmt.Errorf("%w; or remove %s to begin with an empty database", err, c.Dir)
		}
		return err
	}
	password, err := os.ReadFile(c.path("password"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return c.explain("read PostgreSQL's password", err)
	}
	c.password = strings.TrimSpace(string(password))
	isLost := c.password == ""
	if isLost {
		c.password = rand.Text()
	}
	switch {
	case isNew:
		err = c.initialise(ctx)
	case isLost:
		c.logf("PostgreSQL's password was lost and is set anew")
		err = c.resetPassword(ctx)
	}
	if err != nil || !isLost {
		return err
	}
	if err := WriteFile(c.path("password"), []byte(c.password+"\n"), 0o600); err != nil {
		return c.explain("keep PostgreSQL's password", err)
	}
	return nil
}

// initialise makes the cluster beside its place and moves it there when it is whole, so that a run that is killed
// meanwhile leaves nothing half made.
func (c *cluster) initialise(ctx context.Context) error {
	scratch := filepath.Join(c.Dir, "cluster", "new")
	passwordFile := filepath.Join(c.Dir, "cluster", "password")
	if err := os.RemoveAll(scratch); err != nil {
		return c.explain("make a PostgreSQL cluster", err)
	}
	err := c.user.write(passwordFile, c.password+"\n")
	defer os.Remove(passwordFile)
	if err != nil {
		return c.explain("make a PostgreSQL cluster", err)
	}
	// Text sorts by its bytes, which is fast and the same everywhere; letters are known beyond ASCII. The name of such
	// a locale differs between systems.
	for _, letters := range []string{"C.UTF-8", "en_US.UTF-8", "C"} {
		args := []string{
			"-D", c.reach("new"), "-U", superuser, "--pwfile", c.reach("password"), "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--lc-collate", "C", "--lc-messages", "C", "--lc-ctype", letters,
		}
		if c.Ephemeral {
			args = append(args, "--no-sync")
		}
		var out []byte
		if out, err = c.run(ctx, "", "initdb", args...); err == nil {
			break
		}
		err = c.explainWith("make a PostgreSQL cluster", err, out)
		if !bytes.Contains(out, []byte("invalid locale")) {
			return err
		}
	}
	if err != nil {
		return err
	}
	if err := os.Rename(scratch, c.data()); err != nil {
		return c.explain("make a PostgreSQL cluster", err)
	}
	return nil
}

func (c *cluster) resetPassword(ctx context.Context) error {
	sql := "ALTER ROLE " + superuser + " PASSWORD '" + c.password + "'\n"
	if out, err := c.run(ctx, sql, "postgres", "--single", "-D", c.dataArg(), "postgres"); err != nil {
		return c.explainWith("set PostgreSQL's password", err, out)
	}
	return nil
}

// run runs a program to its end and returns what it said. It dies with us.
func (c *cluster) run(ctx context.Context, input, program string, args ...string) ([]byte, error) {
	cmd, dir, err := c.command(ctx, program, args...)
	if err != nil {
		return nil, err
	}
	defer closeFile(dir)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	p, err := proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL})
	if err != nil {
		return nil, err
	}
	err = p.Err()
	return out.Bytes(), errors.Join(err, ctx.Err())
}

func (c *cluster) remove() error {
	if err := os.RemoveAll(c.Dir); err != nil {
		return fmt.Errorf("remove PostgreSQL's directory: %w", err)
	}
	return nil
}

func closeFile(f *os.File) {
	if f != nil {
		_ = f.Close()
	}
}
