package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// asScheduler has the test's own program be the scheduler.
const asScheduler = "SCHEDULER_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asScheduler) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long the test waits for what must come.
const patience = time.Minute

type work struct{}

func (work) JobKind() jobs.Kind { return jobs.Kind{Name: "test.work"} }

func TestProcess(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	server, err := devstack.StartRedis(t.Context(), devstack.Redis{RequireReal: true})
	if errors.Is(err, devstack.ErrNoRedis) {
		t.Skipf("this test needs a real redis-server: %s", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	key, err := seal.NewMasterKey()
	require.NoError(t, err)
	port, err := proc.FreePort(t.Context())
	require.NoError(t, err)

	tenant := s.TenantID(t)
	var said bytes.Buffer
	p := exec.CommandContext(t.Context(), os.Args[0])
	p.Env = append(os.Environ(), asScheduler+"=1", "ENVIRONMENT=development", "DATABASE_URL="+s.SystemURL, "REDIS_URL="+server.URL,
		"MASTER_KEY="+key, "SCHEDULER_OPS_ADDR="+proc.Local(port))
	p.Stdout, p.Stderr = &said, &said
	begun := time.Now()
	require.NoError(t, p.Start())
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	t.Cleanup(func() { _ = p.Process.Kill() })
	ready := func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+proc.Local(port)+"/readyz", http.NoBody)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	}
	require.Eventually(t, ready, patience, 5*time.Millisecond)
	t.Logf("ready after %s", time.Since(begun))

	client, err := redis.Open(redis.Config{URL: server.URL})
	require.NoError(t, err)
	defer client.Close()
	bells := redis.NewBells(client)
	defer bells.Close()
	_, err = jobs.Enqueue(t.Context(), postgres.NewJobs(postgres.Shared{DB: s.DB}, bells.Wake), tenancy.AsSystem(tenant, ""), work{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		n, err := redigo.Int(client.Do(t.Context(), "LLEN", redis.Namespace(jobs.Default)+":jobs:"+redis.JobName))
		return err == nil && n == 1
	}, patience, 5*time.Millisecond, "the job is not handed over")
	admin := s.Admin(t)
	require.Eventually(t, func() bool {
		var n int
		err := admin.QueryRow(t.Context(), "select count(*) from schedule_cursors where tenant_id in ($1, $2)", tenant, tenancy.SystemTenant).Scan(&n)
		return err == nil && n >= 2
	}, patience, 5*time.Millisecond, "the schedules have no cursors")

	stopping := time.Now()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-ended, said.String())
	t.Logf("stopped after %s", time.Since(stopping))
	assert.Less(t, time.Since(stopping), 25*time.Second, "it used up the time that it has to stop, which is 30 seconds")
	assert.NotContains(t, said.String(), "level=error")
}
