package intake_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/worker/internal/intake"
)

// What an intake's process of the tests is told. It is this program, started again.
const (
	envDatabase  = "INTAKE_TEST_DATABASE_URL"
	envMasterKey = "INTAKE_TEST_MASTER_KEY"
)

func TestMain(m *testing.M) {
	if os.Getenv(envDatabase) != "" {
		if err := beIntake(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beIntake takes webhooks in until it is killed, and writes where on its first line.
func beIntake() error {
	ctx := context.Background()
	db, err := postgres.Open(ctx, postgres.Config{URL: os.Getenv(envDatabase), MaxConnections: 4})
	if err != nil {
		return err
	}
	sealer, err := newBox(os.Getenv(envMasterKey))
	if err != nil {
		return err
	}
	local, err := limits.NewLocal(limits.LocalConfig{Clock: time.Now})
	if err != nil {
		return err
	}
	router, registry := postgres.Shared{DB: db}, prometheus.NewRegistry()
	i := intake.New(intake.Config{
		Receiver: inbound.NewReceiver(inbound.ReceiverNeeds{
			Store: postgres.NewInbound(db, router), Queue: postgres.NewJobs(router, nil), Sealer: sealer, Secrets: tokens(),
			Limiter: local, Now: time.Now,
		}),
		Log: logging.New(logging.Config{Process: "worker", Level: "error"}), HTTP: metrics.NewHTTP(registry), Registry: registry, Now: time.Now,
	})
	return lifecycle.Run(ctx, time.Second, i.Background(ctx), i.Server("127.0.0.1:0", 0, func(at net.Addr) {
		fmt.Fprintln(os.Stdout, "http://"+at.String())
	}))
}

// An intake that is killed under load has kept all that it answered with 200, each once and with its job.
func TestIntake_killed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source, path := w.hub(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envDatabase+"="+w.WorkerURL, envMasterKey+"="+w.masterKey)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address = strings.TrimSpace(address) + path

	const enough = 300
	var (
		mu       sync.Mutex
		accepted []string
		senders  sync.WaitGroup
	)
	killed := make(chan struct{})
	for sender := range 8 {
		senders.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprint(sender, "-", n)
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(id))
				if !assert.NoError(t, err) { //nolint:testifylint // not the test's own goroutine
					return
				}
				for name, value := range sign("github", id, "push", id, time.Now()) {
					request.Header.Set(name, value)
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					return // it was killed
				}
				if response.StatusCode == http.StatusOK {
					mu.Lock()
					if accepted = append(accepted, id); len(accepted) == enough {
						assert.NoError(t, cmd.Process.Kill())
						close(killed)
					}
					mu.Unlock()
				}
				assert.NoError(t, response.Body.Close())
			}
		})
	}
	<-killed
	senders.Wait()
	require.Error(t, cmd.Wait())

	conn := w.Admin(t)
	rows, err := conn.Query(t.Context(), `select e.provider_event_id, e.job_id::text, exists (select from jobs j where j.tenant_id = e.tenant_id and j.id = e.job_id)
		from inbound_events e where e.tenant_id = $1 and e.source_id = $2`, source.TenantID.String(), source.ID.String())
	require.NoError(t, err)
	kept := map[string]bool{}
	for rows.Next() {
		var id, job string
		var hasJob bool
		require.NoError(t, rows.Scan(&id, &job, &hasJob))
		assert.False(t, kept[id], "%s is kept twice", id)
		kept[id] = true
		assert.True(t, hasJob, "%s has no job", id)
	}
	require.NoError(t, rows.Err())
	for _, id := range accepted {
		assert.True(t, kept[id], "%s was answered with 200 and is not kept", id)
	}
	require.GreaterOrEqual(t, len(accepted), enough)
	pending, err := w.queue.ListJobs(t.Context(), tenancy.AsSystem(w.scope.Tenant, ""), jobs.Query{States: []jobs.State{jobs.Pending}})
	require.NoError(t, err)
	require.NotEmpty(t, pending)
}
