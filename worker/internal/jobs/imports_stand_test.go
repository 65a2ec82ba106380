package jobs_test

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/platform/mediatype"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/blobs"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
	handlers "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// importStand is imports over a real database and a real folder: asked for as the API does, and run as a worker does.
type importStand struct {
	*storetest.Stack

	files   *files.Service
	asks    *transfers.Imports
	handler jobs.Handler
	queue   *postgres.Jobs
	worker  *postgres.DB
	scope   tenancy.Scope

	mu       sync.Mutex
	progress []jobs.Progress
}

func newImportStand(t *testing.T) *importStand {
	t.Helper()
	s := &importStand{Stack: storetest.New(t)}
	contents, err := blobs.NewFolder(t.TempDir())
	require.NoError(t, err)
	s.worker = s.Open(t, postgres.Config{URL: s.WorkerURL})
	for _, d := range catalog.All() {
		require.NoError(t, s.DB.Register(d.New()))
		require.NoError(t, s.worker.Register(d.New()))
	}
	imports := func(db *postgres.DB) (*transfers.Imports, *files.Service, *postgres.Jobs) {
		app := postgres.Shared{DB: db}
		kept := files.NewService(files.Needs{Store: postgres.NewFiles(app), Contents: contents, Sniff: mediatype.Of, Now: time.Now}, files.Config{})
		var services []*resource.Service
		for _, d := range catalog.All() {
			services = append(services, resource.NewService(d, resource.Dependencies{
				Store: postgres.NewResources(app), History: postgres.NewAudit(app), Validator: validate.New(), Now: time.Now,
			}))
		}
		queue := postgres.NewJobs(app, nil)
		return transfers.NewImports(transfers.ImportNeeds{
			Resources: services, Files: kept, Store: postgres.NewImports(app), Rights: rightsOf(db), Queue: queue, Jobs: queue,
		}), kept, queue
	}
	s.asks, s.files, s.queue = imports(s.DB)
	runs, _, _ := imports(s.worker)
	s.handler = handlers.Import(runs)
	s.scope = tenancy.AsSystem(s.TenantID(t), "test")
	return s
}

// upload keeps a file.
func (s *importStand) upload(t *testing.T, name, text string) tenancy.ID {
	t.Helper()
	f, err := s.files.Upload(t.Context(), s.scope, strings.NewReader(text), files.Input{Name: name})
	require.NoError(t, err)
	return f.ID
}

// ask has an import enqueued and returns its job.
func (s *importStand) ask(t *testing.T, request transfers.ImportRequest) *jobs.Run {
	t.Helper()
	id, err := s.asks.Start(t.Context(), s.scope, request)
	require.NoError(t, err)
	return s.job(t, id)
}

func (s *importStand) job(t *testing.T, id tenancy.ID) *jobs.Run {
	t.Helper()
	job, err := s.queue.FindJob(t.Context(), s.scope, id)
	require.NoError(t, err)
	job.Tenant = s.scope.Tenant
	return &jobs.Run{
		Job: job, Scope: tenancy.AsSystem(s.scope.Tenant, job.RequestID), Effects: postgres.NewJobs(postgres.Shared{DB: s.worker}, nil),
		Report: func(p jobs.Progress) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.progress = append(s.progress, p)
		},
	}
}

// run asks for an import and runs it to its end.
func (s *importStand) run(t *testing.T, request transfers.ImportRequest) transfers.ImportResult {
	t.Helper()
	run := s.ask(t, request)
	require.NoError(t, s.handler.Run(t.Context(), run))
	return resultOf(t, run)
}

func resultOf(t *testing.T, run *jobs.Run) transfers.ImportResult {
	t.Helper()
	var result transfers.ImportResult
	require.NoError(t, json.Unmarshal(run.Result(), &result))
	return result
}

// read is the text of a file.
func (s *importStand) read(t *testing.T, id *tenancy.ID) string {
	t.Helper()
	require.NotNil(t, id)
	f, err := s.files.Find(t.Context(), s.scope, *id)
	require.NoError(t, err)
	r, err := s.files.Open(context.WithoutCancel(t.Context()), f, 0, -1)
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(data)
}

// texts are the values of one column that a query answers.
func (s *importStand) texts(t *testing.T, query string, args ...any) []string {
	t.Helper()
	rows, err := s.Admin(t).Query(t.Context(), query, args...)
	require.NoError(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		all = append(all, text)
	}
	require.NoError(t, rows.Err())
	return all
}
