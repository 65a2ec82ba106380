package jobs_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/connectors/rest"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
	handlers "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// connectorStand is connectors over a real database: made as the API does, synced as a worker does, and dispatched as the
// scheduler does, with a clock that moves when it is told to.
type connectorStand struct {
	*storetest.Stack

	service *connectors.Service
	handler jobs.Handler
	system  *postgres.SystemConnectors
	queue   *postgres.Jobs
	scope   tenancy.Scope
	ahead   atomic.Int64

	masterKey string
	sealer    plainSealer
}

func newConnectorStand(t *testing.T) *connectorStand {
	t.Helper()
	s := &connectorStand{Stack: storetest.New(t)}
	key, err := seal.NewMasterKey()
	require.NoError(t, err)
	master, err := seal.New(key)
	require.NoError(t, err)
	s.masterKey, s.sealer = key, plainSealer{master}
	fetcher, err := backend.NewFetcher([]string{"127.0.0.0/8"}, config.Production)
	require.NoError(t, err)
	t.Cleanup(fetcher.Close)
	kinds := []connectors.Kind{rest.New(fetcher, s.now)}
	worker := s.Open(t, postgres.Config{URL: s.WorkerURL})
	for _, d := range catalog.All() {
		require.NoError(t, s.DB.Register(d.New()))
		require.NoError(t, worker.Register(d.New()))
	}
	app, workers := postgres.Shared{DB: s.DB}, postgres.Shared{DB: worker}
	s.queue = postgres.NewJobs(app, nil)
	s.service = connectors.NewService(connectors.Needs{
		Store: postgres.NewConnectors(app), Queue: s.queue, Waiting: s.queue, Sealer: s.sealer, Kinds: kinds, Resources: catalog.All(),
		Validate: validate.New(), Now: s.now,
	})
	var services []*resource.Service
	for _, d := range catalog.All() {
		services = append(services, resource.NewService(d, resource.Dependencies{
			Store: postgres.NewResources(workers), History: postgres.NewAudit(workers), Validator: validate.New(), Now: s.now,
		}))
	}
	s.handler = handlers.SyncConnector(connectors.NewRunner(connectors.RunnerNeeds{
		Store: postgres.NewConnectors(workers), Sealer: s.sealer, Kinds: kinds, Resources: services, Now: s.now,
	}))
	system := s.Open(t, postgres.Config{URL: s.SystemURL})
	s.system = postgres.NewSystemConnectors(system, postgres.NewJobs(postgres.Shared{DB: system}, nil))
	s.scope = tenancy.AsSystem(s.TenantID(t), "test")
	return s
}

func (s *connectorStand) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// connector makes one for customers of a source.
func (s *connectorStand) connector(t *testing.T, url string, change func(*connectors.Input)) connectors.Connector {
	t.Helper()
	in := connectors.Input{
		Kind: "rest", Resource: "customers", Name: "CRM", URL: url, By: "code", RequestsPerMinute: new(int64(6000)),
		Settings: map[string]any{"records": "data"},
		Mapping:  map[string]any{"code": "id", "name": "company.name", "email": "mail", "tags": "labels", "custom.city": "address.city"},
	}
	if change != nil {
		change(&in)
	}
	c, err := s.service.Create(t.Context(), s.scope, in)
	require.NoError(t, err)
	return c
}

// ask has a sync enqueued and returns its job.
func (s *connectorStand) ask(t *testing.T, id tenancy.ID, in connectors.SyncInput) *jobs.Run {
	t.Helper()
	done, err := s.service.Sync(t.Context(), s.scope, id, in)
	require.NoError(t, err)
	job, err := s.queue.FindJob(t.Context(), s.scope, done.ID)
	require.NoError(t, err)
	job.Tenant, job.Attempt = s.scope.Tenant, 1
	return &jobs.Run{Job: job, Scope: tenancy.AsSystem(s.scope.Tenant, job.RequestID)}
}

// end takes a job away, so that the next one may come.
func (s *connectorStand) end(t *testing.T, run *jobs.Run) {
	t.Helper()
	s.Exec(t, "delete from jobs where id = $1", run.Job.ID.String())
}

// sync syncs a connector and returns what came of it.
func (s *connectorStand) sync(t *testing.T, id tenancy.ID, in connectors.SyncInput) connectors.Result {
	t.Helper()
	run := s.ask(t, id, in)
	require.NoError(t, s.handler.Run(t.Context(), run))
	s.end(t, run)
	var result connectors.Result
	require.NoError(t, json.Unmarshal(run.Result(), &result))
	return result
}

func (s *connectorStand) find(t *testing.T, id tenancy.ID) connectors.Connector {
	t.Helper()
	c, err := s.service.Find(t.Context(), s.scope, id)
	require.NoError(t, err)
	return c
}

// text is the one value that a query answers.
func (s *connectorStand) text(t *testing.T, query string, args ...any) string {
	t.Helper()
	var text string
	require.NoError(t, s.Admin(t).QueryRow(t.Context(), query, args...).Scan(&text))
	return text
}

// crm is another program: an HTTP server with contacts, which pages in each of the ways that there are and misbehaves as
// its test says.
type crm struct {
	*httptest.Server

	mu       sync.Mutex
	contacts []map[string]any
	size     int
	asked    []*http.Request
	at       []time.Time
	// answer takes the place of the contacts where it is true.
	answer func(w http.ResponseWriter, r *http.Request, n int) bool
}

func newCRM(t *testing.T, contacts int) *crm {
	t.Helper()
	c := &crm{size: 10}
	for n := range contacts {
		c.contacts = append(c.contacts, contact(n))
	}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func contact(n int) map[string]any {
	return map[string]any{
		"id": n, "company": map[string]any{"name": "Company " + strconv.Itoa(n)}, "mail": "C" + strconv.Itoa(n) + "@Example.com",
		"labels": []string{"crm"}, "address": map[string]any{"city": "Köln"},
	}
}

// will changes how it behaves, or what it holds.
func (c *crm) will(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// got are the requests since the last time it was asked.
func (c *crm) got() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	return asked
}

func (c *crm) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.at = append(c.asked, r), append(c.at, time.Now())
	if c.answer != nil && c.answer(w, r, len(c.asked)) {
		return
	}
	query := r.URL.Query()
	from, until := 0, len(c.contacts)
	body := map[string]any{"meta": map[string]any{}}
	style := strings.TrimPrefix(r.URL.Path, "/")
	number, _ := strconv.Atoi(query.Get(style))
	switch style {
	case "page":
		from = (number - 1) * c.size
	case "offset":
		from = number
	case "cursor", "link", "next":
		from, _ = strconv.Atoi(strings.TrimPrefix(query.Get("cursor"), "after-"))
	}
	from = min(max(from, 0), until)
	if style != "" && style != "none" {
		until = min(from+c.size, until)
	}
	if until < len(c.contacts) {
		after := "after-" + strconv.Itoa(until)
		switch style {
		case "cursor":
			body["meta"] = map[string]any{"next": after}
		case "link":
			w.Header().Add("Link", `</first>; rel="first", <?cursor=`+after+`>; title="a, b"; rel="last next"`)
		case "next":
			body["links"] = map[string]any{"next": c.URL + "/next?cursor=" + after}
		}
	}
	body["data"] = c.contacts[from:until]
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
