package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
	"github.com/groundwork-saas/groundwork/platform/mediatype"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/blobs"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// killing is an import that is asked for as the API does, handed over as the scheduler does, and run by real workers.
type killing struct {
	*storetest.Stack

	folder, redisURL, masterKey string
	files                       *files.Service
	imports                     *transfers.Imports
	queue                       *postgres.Jobs
	scope                       tenancy.Scope
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	k := &killing{Stack: storetest.New(t), folder: t.TempDir()}
	server, err := devstack.StartRedis(t.Context(), devstack.Redis{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	k.redisURL = server.URL
	k.masterKey, err = seal.NewMasterKey()
	require.NoError(t, err)
	contents, err := blobs.NewFolder(k.folder)
	require.NoError(t, err)
	app := postgres.Shared{DB: k.DB}
	var services []*resource.Service
	for _, d := range catalog.All() {
		require.NoError(t, k.DB.Register(d.New()))
		services = append(services, resource.NewService(d, resource.Dependencies{
			Store: postgres.NewResources(app), History: postgres.NewAudit(app), Validator: validate.New(), Now: time.Now,
		}))
	}
	k.files = files.NewService(files.Needs{Store: postgres.NewFiles(app), Contents: contents, Sniff: mediatype.Of, Now: time.Now}, files.Config{})
	k.queue = postgres.NewJobs(app, nil)
	k.imports = transfers.NewImports(transfers.ImportNeeds{
		Resources: services, Files: k.files, Store: postgres.NewImports(app), Queue: k.queue, Jobs: k.queue,
	})
	k.scope = tenancy.AsSystem(k.TenantID(t), "test")
	return k
}

// dispatch hands jobs over, and those of dead workers over again, until the test ends.
func (k *killing) dispatch(t *testing.T) {
	t.Helper()
	client, err := redis.Open(redis.Config{URL: k.redisURL})
	require.NoError(t, err)
	engine, buffer := postgres.NewJobEngine(k.Open(t, postgres.Config{URL: k.SystemURL}), k.queue), redis.NewJobs(client, time.Now)
	ctx, stop := context.WithCancel(t.Context())
	var loop sync.WaitGroup
	loop.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C {
			_, _, _ = engine.Promote(ctx, 10) // what goes wrong is tried again in the next round
			_, _, _ = engine.Expire(ctx, 10)
			if waiting, err := buffer.Waiting(ctx, jobs.Transfers); err == nil {
				if now, err := engine.Now(ctx); err == nil { // a worker that fetched it may not have come to claim it
					_, _ = engine.Recall(ctx, jobs.Transfers, now.Add(-time.Second), waiting)
				}
			}
			_, _ = engine.Pick(ctx, jobs.Transfers, 1, tenancy.ID{}, func(refs []jobs.Ref) error { return buffer.Push(ctx, jobs.Transfers, refs) })
		}
	})
	t.Cleanup(func() {
		stop()
		loop.Wait()
		assert.NoError(t, client.Close())
	})
}

func (k *killing) startWorker(t *testing.T) *exec.Cmd {
	t.Helper()
	port, err := proc.FreePort(t.Context())
	require.NoError(t, err)
	cmd := command(t, []string{"--queues", "transfers=1"}, "DATABASE_URL="+k.WorkerURL, "SYSTEM_DATABASE_URL="+k.SystemURL, "REDIS_URL="+k.redisURL,
		"MASTER_KEY="+k.masterKey, "FILES_DIR="+k.folder, "TMPDIR="+t.TempDir(), "JOB_LEASE=10m", fmt.Sprintf("WORKER_OPS_ADDR=127.0.0.1:%d", port))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("worker %d said:\n%s", cmd.Process.Pid, said.String())
		}
	})
	return cmd
}

// A worker that is killed in the middle of an import, again and again, leaves no row out and takes none twice; what the
// job answers counts each row once.
func TestImport_whose_workers_are_killed(t *testing.T) {
	t.Parallel()
	k := newKilling(t)
	const rows, bad, kills = 15_000, 15, 3
	var text strings.Builder
	text.WriteString("code,name,email\n")
	for n := range rows {
		name := "Name"
		if n%1000 == 500 {
			name = "" // which is refused
		}
		fmt.Fprintf(&text, "C%d,%s,c%d@example.com\n", n, name, n)
	}
	file, err := k.files.Upload(t.Context(), k.scope, strings.NewReader(text.String()), files.Input{Name: "customers.csv"})
	require.NoError(t, err)
	k.dispatch(t)
	id, err := k.imports.Start(t.Context(), k.scope, transfers.ImportRequest{Resource: "customers", FileID: file.ID, Mode: resource.BulkCreate})
	require.NoError(t, err)

	admin := k.Admin(t)
	count := func(query string) (n int) {
		require.NoError(t, admin.QueryRow(t.Context(), query).Scan(&n))
		return n
	}
	worker := k.startWorker(t)
	came := 0
	for range kills {
		require.Eventually(t, func() bool {
			n := count("select count(*) from customers")
			began := n > came
			came = n
			return began
		}, patience, time.Millisecond, "it goes on")
		require.NoError(t, worker.Process.Kill())
		_ = worker.Wait()
		// Its lease runs out, without the wait for it: a shorter one would run out where the machine stands still.
		k.Exec(t, "update jobs set lease_until = now() - interval '1 second' where state = 'running'")
		came = count("select count(*) from customers")
		require.Less(t, came, rows-bad, "it was killed before it came to its end")
		worker = k.startWorker(t)
	}
	var job jobs.Job
	require.Eventually(t, func() bool {
		job, err = k.queue.FindJob(t.Context(), k.scope, id)
		return err == nil && job.State == jobs.Succeeded
	}, 3*patience, 20*time.Millisecond, "it comes to its end")

	assert.Equal(t, kills+1, job.Attempt)
	var result transfers.ImportResult
	require.NoError(t, json.Unmarshal(job.Result, &result))
	assert.Equal(t, transfers.ImportCounts{Rows: rows, Created: rows - bad, Failed: bad}, result.ImportCounts)
	assert.Equal(t, rows-bad, count("select count(*) from customers"))
	assert.Equal(t, rows-bad, count("select count(distinct code) from customers"))
	assert.Equal(t, rows-bad, count("select count(distinct resource_id) from audit_events where action = 'customer.created'"))
	assert.Equal(t, rows-bad, count("select count(*) from audit_events where action = 'customer.created'"))
	assert.Equal(t, rows-bad, count("select count(*) from events where type = 'customer.created'"))
	require.NotNil(t, result.ErrorsFileID)
	refused, err := k.files.Find(t.Context(), k.scope, *result.ErrorsFileID)
	require.NoError(t, err)
	content, err := k.files.Open(t.Context(), refused, 0, -1)
	require.NoError(t, err)
	defer content.Close()
	data, err := io.ReadAll(content)
	require.NoError(t, err)
	assert.Equal(t, bad+1, strings.Count(string(data), "\n"), "each bad row is told of once, behind the columns' names")
}
