package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// oldest is the lowest major version of PostgreSQL that the product runs on.
const oldest = 15

// programs are the programs of one PostgreSQL installation.
type programs struct {
	dir   string
	major int
}

// versionError says that a cluster was made by a version that this machine does not have.
type versionError struct{ cluster string }

// Error says how to get the version.
func (e *versionError) Error() string {
	return fmt.Sprintf("the database was made by PostgreSQL %s, which this machine does not have any more: install it (%s)",
		e.cluster, strings.Join(installCommands(e.cluster), ", or "))
}

// finder looks for an installation that the server's user can run.
type finder struct {
	// dirs are looked at in this order.
	dirs []string
	// as is who must be able to run the programs.
	as *unprivileged
	// fetch gets programs where none are installed, and returns where they are.
	fetch func(context.Context) (string, error)
}

// find returns the first installation of the cluster's version, or, where there is no cluster (""), of any that is new
// enough.
func (f finder) find(ctx context.Context, cluster string) (programs, error) {
	var tooOld []string
	for _, dir := range f.dirs {
		major, err := majorOf(ctx, dir, f.as)
		switch {
		case err != nil:
		case major < oldest:
			tooOld = append(tooOld, fmt.Sprintf("%s has version %d", dir, major))
		case cluster == "" || cluster == strconv.Itoa(major):
			return programs{dir: dir, major: major}, nil
		}
	}
	if cluster != "" && cluster != fetchedMajor {
		return programs{}, &versionError{cluster}
	}
	dir, err := f.fetch(ctx)
	if err == nil {
		var major int
		if major, err = majorOf(ctx, dir, f.as); err == nil {
			return programs{dir: dir, major: major}, nil
		}
	}
	if ctx.Err() != nil {
		return programs{}, fmt.Errorf("fetch PostgreSQL: %w", ctx.Err())
	}
	problem := "there is no PostgreSQL on this machine"
	if len(tooOld) > 0 {
		problem = fmt.Sprintf("PostgreSQL %d or newer is needed (%s)", oldest, strings.Join(tooOld, ", "))
	}
	return programs{}, fmt.Errorf("%s, and it could not be fetched (%w).\nInstall it with one of\n  %s\nor set DATABASE_URL to a server of your own",
		problem, err, strings.Join(installCommands(cluster), "\n  "))
}

func installCommands(version string) []string {
	dash, at := "", "@17"
	if version != "" {
		dash, at = "-"+version, "@"+version
	}
	return []string{
		"sudo apt-get install postgresql" + dash,
		"brew install postgresql" + at,
		"sudo dnf install postgresql" + version + "-server",
	}
}

// installed returns the places where PostgreSQL's programs may be, best first.
func installed() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // postgresql.org's packages for Fedora and Red Hat
		"/usr/libexec/postgresql*",  // Alpine
		"/usr/lib/postgresql*/bin",  // openSUSE
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/usr/local/pgsql/bin", // built from source
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/Library/PostgreSQL/*/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue // the patterns are constants; this one would be wrong everywhere
		}
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(numberIn(b), numberIn(a)) })
		dirs = append(dirs, found...)
	}
	return slices.DeleteFunc(dirs, func(dir string) bool {
		return !filepath.IsAbs(dir) || !isProgram(dir, "postgres") || !isProgram(dir, "initdb")
	})
}

func isProgram(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// numberIn returns the first number in a path, as in /usr/lib/postgresql/16/bin; -1 where there is none.
func numberIn(path string) float64 {
	n, err := strconv.ParseFloat(regexp.MustCompile(`\d+(\.\d+)?`).FindString(path), 64)
	if err != nil {
		return -1
	}
	return n
}

// majorOf runs `postgres --version` as the server's user, which proves that this user can run it.
func majorOf(ctx context.Context, dir string, as *unprivileged) (int, error) {
	if !isProgram(dir, "initdb") {
		return 0, fmt.Errorf("%s has no initdb", dir)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version") //nolint:gosec // found by us
	cmd.Dir, cmd.Env = "/", environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as.credential()}
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	m := regexp.MustCompile(`\(PostgreSQL\) (\d+)`).FindSubmatch(out)
	if m == nil {
		return 0, errors.New(cmd.Path + " does not tell its version")
	}
	return strconv.Atoi(string(m[1])) //nolint:wrapcheck // the expression lets nothing else through
}
