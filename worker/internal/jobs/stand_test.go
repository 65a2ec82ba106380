package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
	handlers "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// stand is the product's parts around webhooks, each with its own role, and a clock that moves when it is told to and
// stands still otherwise, so that no retry becomes due where the machine stands still.
type stand struct {
	*storetest.Stack

	service    *webhooks.Service
	customers  *resource.Service
	dispatcher *webhooks.Dispatcher
	outbox     *postgres.WebhookOutbox
	handlers   map[string]jobs.Handler
	worker     *postgres.Webhooks
	queue      *postgres.Jobs
	scope      tenancy.Scope
	began      time.Time
	ahead      atomic.Int64
	disabled   []webhooks.Endpoint
}

// plainSealer seals as the product does, under a key of the test's own.
type plainSealer struct{ master *seal.Sealer }

func (p plainSealer) Seal(plaintext, binding []byte) ([]byte, error) {
	return p.master.Seal(plaintext, seal.AAD{Table: "-", Column: "-", Row: string(binding)})
}

func (p plainSealer) Open(sealed, binding []byte) ([]byte, error) {
	return p.master.Open(sealed, seal.AAD{Table: "-", Column: "-", Row: string(binding)})
}

func (p plainSealer) NeedsReseal(sealed []byte) bool { return p.master.NeedsReseal(sealed) }

func newStand(t *testing.T) *stand {
	t.Helper()
	stack := storetest.New(t)
	return newStandOf(t, stack, stack.Tenant(t))
}

// newStandOf is one for a tenant that there is.
func newStandOf(t *testing.T, stack *storetest.Stack, scope tenancy.Scope) *stand {
	t.Helper()
	s := &stand{Stack: stack, scope: scope, began: time.Now().Truncate(time.Microsecond), handlers: map[string]jobs.Handler{}}
	key, err := seal.NewMasterKey()
	require.NoError(t, err)
	master, err := seal.New(key)
	require.NoError(t, err)
	sealer := plainSealer{master}
	require.NoError(t, s.DB.Register(customers.Definition().New()))

	app := postgres.Shared{DB: s.DB}
	caller, err := backend.NewCaller([]string{"127.0.0.0/8"}, config.Production)
	require.NoError(t, err)
	t.Cleanup(caller.Close)
	hooks := postgres.NewWebhooks(app, sealer, postgres.NewJobs(app, nil))
	s.service = webhooks.NewService(webhooks.Needs{
		Endpoints: hooks, Deliveries: hooks, Checker: caller, Validate: validate.New(), Now: s.now,
		Types: append(catalog.EventTypes(), webhooks.TypeDisabled),
	})
	s.customers = resource.NewService(customers.Definition(), resource.Dependencies{
		Store: postgres.NewResources(app), History: postgres.NewAudit(app), Validator: validate.New(), Now: s.now,
	})

	workers := postgres.Shared{DB: s.Open(t, postgres.Config{URL: s.WorkerURL})}
	s.queue = postgres.NewJobs(workers, nil)
	s.worker = postgres.NewWebhooks(workers, sealer, s.queue)
	s.worker.WhenDisabled(func(_ context.Context, _ tenancy.Scope, e webhooks.Endpoint) error {
		s.disabled = append(s.disabled, e)
		return nil
	})
	for _, h := range handlers.Handlers(handlers.Needs{Webhooks: webhooks.NewCourier(s.worker, caller, s.now)}) {
		s.handlers[h.Kind.Name] = h
	}

	system := s.Open(t, postgres.Config{URL: s.SystemURL})
	s.outbox = postgres.NewWebhookOutbox(system, postgres.NewJobs(postgres.Shared{DB: system}, nil))
	s.dispatcher = s.dispatcherOfItsOwn()
	return s
}

// dispatcherOfItsOwn is one for another goroutine.
func (s *stand) dispatcherOfItsOwn() *webhooks.Dispatcher {
	return webhooks.NewDispatcher(s.outbox, s.now)
}

func (s *stand) now() time.Time { return s.began.Add(time.Duration(s.ahead.Load())) }

func (s *stand) advance(d time.Duration) { s.ahead.Add(int64(d)) }

// endpoint makes an endpoint for a receiver.
func (s *stand) endpoint(t *testing.T, url string, change ...func(*webhooks.Input)) (webhooks.Endpoint, webhooks.Secret) {
	t.Helper()
	in := webhooks.Input{URL: url, Events: []string{"*"}}
	for _, c := range change {
		c(&in)
	}
	e, secret, err := s.service.Create(t.Context(), s.scope, in)
	require.NoError(t, err)
	return e, secret
}

// customer makes a customer, of which an event tells.
func (s *stand) customer(t *testing.T, name string) *customers.Customer {
	t.Helper()
	c := &customers.Customer{Name: name}
	require.NoError(t, s.customers.Create(t.Context(), s.scope, c))
	return c
}

// fanOut turns all pending events into deliveries.
func (s *stand) fanOut(t *testing.T) {
	t.Helper()
	for {
		n, err := s.dispatcher.FanOut(t.Context())
		require.NoError(t, err)
		if n == 0 {
			return
		}
	}
}

// release lets held deliveries go.
func (s *stand) release(t *testing.T) int {
	t.Helper()
	n, err := s.dispatcher.Release(t.Context())
	require.NoError(t, err)
	return n
}

// aJob is a job that waits.
type aJob struct {
	job  jobs.Job
	lane string
}

// due are the jobs whose time has come by the stand's clock, and those that were enqueued to run at once, by PostgreSQL's.
func (s *stand) due(t *testing.T) []aJob {
	t.Helper()
	rows, err := s.Admin(t).Query(t.Context(), `select tenant_id::text, id::text, kind, args::text, max_attempts, lane::text, request_id, coalesce(trace, '')
		from jobs where run_at <= $1 or run_at = created_at order by run_at, id`, s.now())
	require.NoError(t, err)
	defer rows.Close()
	var list []aJob
	for rows.Next() {
		var j aJob
		var tenant, id, args string
		require.NoError(t, rows.Scan(&tenant, &id, &j.job.Kind, &args, &j.job.MaxAttempts, &j.lane, &j.job.RequestID, &j.job.Trace))
		j.job.Tenant, j.job.ID, j.job.Args = tenancy.MustParseID(tenant), tenancy.MustParseID(id), json.RawMessage(args)
		list = append(list, j)
	}
	require.NoError(t, rows.Err())
	return list
}

// run runs one job, as the runner does, and takes it away where it has ended.
func (s *stand) run(t *testing.T, ctx context.Context, j aJob) error { //nolint:revive // the test comes first
	t.Helper()
	h, ok := s.handlers[j.job.Kind]
	require.True(t, ok, "nobody runs %s", j.job.Kind)
	err := h.Run(ctx, &jobs.Run{Job: j.job, Scope: tenancy.AsSystem(j.job.Tenant, j.job.RequestID)})
	if state, _ := jobs.Decide(h.Kind, err, 1, h.Kind.MaxAttempts, s.now()); state.IsFinal() {
		s.Exec(t, "delete from jobs where id = $1", j.job.ID.String())
	}
	return err
}

// work runs what is due until nothing is, and says how many jobs that were.
func (s *stand) work(t *testing.T) int {
	t.Helper()
	for n := 0; ; {
		list := s.due(t)
		if len(list) == 0 {
			return n
		}
		for _, j := range list {
			err := s.run(t, t.Context(), j)
			if state, _ := jobs.Decide(jobs.Kind{}.Complete(), err, 1, 20, s.now()); state != jobs.Cancelled {
				require.NoError(t, err)
			}
			n++
		}
	}
}

// settle does all that there is to do by now.
func (s *stand) settle(t *testing.T) {
	t.Helper()
	s.fanOut(t)
	for s.release(t)+s.work(t) > 0 {
		s.fanOut(t)
	}
}

// deliveries are all of the tenant's, the oldest first.
func (s *stand) deliveries(t *testing.T) []webhooks.Delivery {
	t.Helper()
	q := webhooks.Query{}
	q.Limit = 100
	p, err := s.service.ListDeliveries(t.Context(), s.scope, q)
	require.NoError(t, err)
	list := make([]webhooks.Delivery, len(p.Items))
	for i, d := range p.Items {
		list[len(list)-1-i] = d
	}
	return list
}

func (s *stand) attempts(t *testing.T, id tenancy.ID) (webhooks.Delivery, []webhooks.Attempt) {
	t.Helper()
	d, attempts, err := s.service.FindDelivery(t.Context(), s.scope, id)
	require.NoError(t, err)
	return d, attempts
}

func (s *stand) find(t *testing.T, id tenancy.ID) webhooks.Endpoint {
	t.Helper()
	e, err := s.service.Find(t.Context(), s.scope, id)
	require.NoError(t, err)
	return e
}

// call is what a receiver was sent.
type call struct {
	header http.Header
	body   []byte
}

func (c call) at(path ...string) string {
	var v any
	if json.Unmarshal(c.body, &v) != nil {
		return ""
	}
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return fmt.Sprint(v)
}

// receiver is a customer's server on loopback. It answers as its test says.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	calls  []call
	answer http.HandlerFunc
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		r.calls = append(r.calls, call{header: request.Header.Clone(), body: body})
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, request)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// status answers with a status and headers in pairs.
func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, strings.Repeat("answer ", 3))
	}
}

func (r *receiver) answers(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = h
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call(nil), r.calls...)
}
