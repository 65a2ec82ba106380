package databasetest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// Pgbouncer is how a pooler hands its connections about.
type Pgbouncer struct {
	// Mode is session, transaction or statement.
	Mode string
	// Size is how many connections to PostgreSQL there are for each role; fewer than clients have, so that they change hands.
	Size int
	// Statements is how many prepared statements it keeps (max_prepared_statements); none by default, and none before 1.21.
	Statements int
}

// pgbouncer is the program, "" where there is none.
func pgbouncer() string {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // outside of an ordinary user's PATH
	}
	if _, err := os.Stat(program); err != nil {
		return ""
	}
	return program
}

// PgbouncerKeepsStatements says whether this machine's pgbouncer can keep prepared statements, as it does since 1.21.
func PgbouncerKeepsStatements(tb testing.TB) bool {
	tb.Helper()
	said, err := exec.CommandContext(tb.Context(), pgbouncer(), "--version").Output() //nolint:gosec // found above
	if err != nil {
		tb.Fatalf("ask pgbouncer for its version: %v", err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(strings.ToLower(string(said)), "pgbouncer %d.%d", &major, &minor); err != nil {
		tb.Fatalf("pgbouncer does not tell its version: %s", said)
	}
	return major > 1 || minor >= 21
}

// Through starts a real pgbouncer in front of the database, which ends with the test, and returns the database as it is
// reached through it: the administrator and the migrator go past it. Without the program the test is skipped.
func (d *Database) Through(tb testing.TB, pooler Pgbouncer) *Database {
	tb.Helper()
	requirePgbouncer(tb)
	port, err := proc.FreePort(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	through := *d
	var users strings.Builder
	for _, address := range []*string{&through.AppURL, &through.WorkerURL, &through.SystemURL, &through.ReportingURL} {
		u, err := url.Parse(*address)
		if err != nil {
			tb.Fatal("a role's URL cannot be read")
		}
		password, _ := u.User.Password()
		fmt.Fprintf(&users, "%q %q\n", u.User.Username(), password)
		u.Host = proc.Local(port)
		*address = u.String()
	}
	server, err := url.Parse(d.AdminURL)
	if err != nil {
		tb.Fatal("the administrator's URL cannot be read")
	}
	statements := ""
	if PgbouncerKeepsStatements(tb) { // an older one does not know the setting
		statements = fmt.Sprintf("max_prepared_statements=%d\n", pooler.Statements)
	}
	StartPgbouncer(tb, map[string]string{
		"users.txt": users.String(),
		"pgbouncer.ini": fmt.Sprintf("[databases]\n%s = host=%s port=%s\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\nunix_socket_dir=\n"+
			"auth_type=plain\nauth_file=users.txt\npool_mode=%s\ndefault_pool_size=%s\nmax_client_conn=200\n"+
			"ignore_startup_parameters=extra_float_digits\n"+statements,
			d.Name, server.Hostname(), server.Port(), port, pooler.Mode, strconv.Itoa(pooler.Size)),
	})
	up := proc.Poll(tb.Context(), time.Minute, func() bool {
		conn, err := pgx.Connect(tb.Context(), through.AppURL)
		return err == nil && conn.Close(tb.Context()) == nil
	})
	if !up {
		tb.Fatal("pgbouncer does not answer")
	}
	return &through
}

// requirePgbouncer returns the program; without it the test is skipped.
func requirePgbouncer(tb testing.TB) string {
	tb.Helper()
	program := pgbouncer()
	if program == "" {
		tb.Skip("there is no pgbouncer on this machine (apt-get install pgbouncer)")
	}
	return program
}

// StartPgbouncer starts a real pgbouncer, which ends with the test, in a folder with files, of which pgbouncer.ini is its
// configuration. It does not wait until it answers. Without the program the test is skipped.
func StartPgbouncer(tb testing.TB, files map[string]string) {
	tb.Helper()
	program := requirePgbouncer(tb)
	dir := tb.TempDir()
	// pgbouncer refuses to be root, and must read its files as somebody else then; they hold passwords of this test only.
	for _, folder := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // as above
			tb.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // as above
			tb.Fatal(err)
		}
	}
	cmd := exec.CommandContext(tb.Context(), program, "-q", "pgbouncer.ini") //nolint:gosec // found above
	cmd.Dir = dir
	if os.Geteuid() == 0 {
		// Not by its own -u: a process that gives root up by itself is no longer ended with its parent.
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody(tb)}
	}
	running, err := proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL})
	if err != nil {
		tb.Fatalf("start pgbouncer: %v", err)
	}
	tb.Cleanup(func() {
		// It is told to go at once; that it was is its error.
		_ = running.Stop(tb.Context(), proc.Step{Signal: syscall.SIGKILL, Wait: 10 * time.Second})
	})
}

// nobody is the user with the fewest rights.
func nobody(tb testing.TB) *syscall.Credential {
	tb.Helper()
	found, err := user.Lookup("nobody")
	if err != nil {
		tb.Fatalf("pgbouncer refuses to be root: %v", err)
	}
	ids := make([]uint32, 2)
	for i, text := range []string{found.Uid, found.Gid} {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			tb.Fatalf("read the ids of nobody: %v", err)
		}
		ids[i] = uint32(id)
	}
	return &syscall.Credential{Uid: ids[0], Gid: ids[1], Groups: []uint32{ids[1]}}
}
