package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// asProgram has the test's binary be groundwork itself, so that the tests run the real program as a process.
const asProgram = "GROUNDWORK_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// site is a database of the test's own, with the command beside it.
type site struct {
	*storetest.Stack

	tenant  jobs.Queue
	engine  *postgres.JobEngine
	environ []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Stack: storetest.New(t)}
	list := postgres.NewJobs(postgres.Shared{DB: s.DB}, nil)
	s.tenant, s.engine = list, postgres.NewJobEngine(s.Open(t, postgres.Config{URL: s.SystemURL}), list)
	s.environ = []string{"DATABASE_URL=" + s.AppURL, "SYSTEM_DATABASE_URL=" + s.SystemURL}
	return s
}

// said is what a run of the program came to.
type said struct {
	code     int
	out, err string
}

// prepared is a run of the program that was not started yet.
func prepared(t *testing.T, environ []string, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	var out, wrong bytes.Buffer
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(append([]string{asProgram + "=1"}, environ...), "GOCOVERDIR="+t.TempDir())
	c.Stdout, c.Stderr = &out, &wrong
	return c, &out, &wrong
}

func run(t *testing.T, environ []string, args ...string) said {
	t.Helper()
	c, out, wrong := prepared(t, environ, args...)
	err := c.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return said{code: c.ProcessState.ExitCode(), out: out.String(), err: wrong.String()}
}

// must runs the program and requires its exit code; what it said on the other stream is empty where it succeeded.
func (s *site) must(t *testing.T, code int, args ...string) said {
	t.Helper()
	a := run(t, s.environ, args...)
	require.Equal(t, code, a.code, "groundwork %s said %s%s", strings.Join(args, " "), a.out, a.err)
	if code == done {
		assert.Empty(t, a.err)
	}
	return a
}

// ask runs the program with --json and reads its answer.
func ask[T any](t *testing.T, s *site, args ...string) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(s.must(t, done, append(args, "--json")...).out), &value))
	return value
}

// chore is a job that is made by the tests.
type chore struct {
	Name string `json:"name"`
}

// JobKind declares it.
func (chore) JobKind() jobs.Kind {
	return jobs.Kind{Name: "tests.chore", Queue: jobs.Transfers, MaxAttempts: 2}
}

// errand is a job of another kind in the same queue.
type errand struct{}

// JobKind declares it.
func (errand) JobKind() jobs.Kind { return jobs.Kind{Name: "tests.errand", Queue: jobs.Transfers} }

func (s *site) enqueue(t *testing.T, tenant tenancy.ID, args jobs.Args) tenancy.ID {
	t.Helper()
	done, err := jobs.Enqueue(t.Context(), s.tenant, tenancy.AsSystem(tenant, "the-cause"), args)
	require.NoError(t, err)
	return done.ID
}

// begin has a job running.
func (s *site) begin(t *testing.T, tenant, id tenancy.ID) jobs.Attempt {
	t.Helper()
	ref := jobs.Ref{Tenant: tenant, ID: id}
	claimed, _, err := s.engine.Claim(t.Context(), "worker-7", []jobs.Ref{ref}, time.Minute)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	return jobs.Attempt{Ref: ref, Number: claimed[0].Attempt}
}

func (s *site) end(t *testing.T, o jobs.Outcome) {
	t.Helper()
	held, err := s.engine.Settle(t.Context(), []jobs.Outcome{o})
	require.NoError(t, err)
	require.Equal(t, []bool{true}, held)
}

// dead makes a job that has died.
func (s *site) dead(t *testing.T, tenant tenancy.ID, args jobs.Args) tenancy.ID {
	t.Helper()
	id := s.enqueue(t, tenant, args)
	s.end(t, jobs.Outcome{
		Attempt: s.begin(t, tenant, id), State: jobs.Dead,
		Error: "the door is \x1b[31mlocked", Stack: "goroutine 1\n\tmain.go:7",
	})
	return id
}
