package intake_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
	"github.com/groundwork-saas/groundwork/worker/internal/intake"
	workerjobs "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// world is an intake over a database of the test's own, and the services around it.
type world struct {
	*storetest.Stack

	scope     tenancy.Scope
	store     *postgres.Inbound
	queue     *postgres.Jobs
	sources   *inbound.Sources
	events    *inbound.Events
	processor *inbound.Processor
	resources map[string]*resource.Service
	masterKey string
	receiver  *inbound.Receiver
	config    intake.Config
	handler   http.Handler
	url       string
	logs      *safeBuffer
	// began is when the intake's clock was set, and ahead how far it was moved since, in nanoseconds. It stands still
	// otherwise, so that nothing becomes due where the machine does.
	began time.Time
	ahead atomic.Int64
}

// safeBuffer is read while it is written to.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// box seals under a master key, as the processes' own does.
type box struct{ master *seal.Sealer }

func (b box) Seal(plaintext, binding []byte) ([]byte, error) {
	return b.master.Seal(plaintext, seal.AAD{Table: "-", Column: "-", Row: string(binding)})
}

func (b box) Open(sealed, binding []byte) ([]byte, error) {
	return b.master.Open(sealed, seal.AAD{Table: "-", Column: "-", Row: string(binding)})
}

func tokens() members.Secrets {
	return members.Secrets{New: secrets.Token, Check: secrets.Check, Hash: secrets.Hash}
}

func newBox(key string) (box, error) {
	master, err := seal.New(key)
	return box{master}, err
}

func newWorld(tb testing.TB, change ...func(*inbound.ReceiverNeeds, *intake.Config)) *world {
	tb.Helper()
	w := &world{Stack: storetest.New(tb), began: time.Now(), logs: &safeBuffer{}, resources: map[string]*resource.Service{}}
	w.scope = w.Tenant(tb)
	api := postgres.Shared{DB: w.DB}
	own := w.Open(tb, postgres.Config{URL: w.WorkerURL})
	for _, db := range []*postgres.DB{w.DB, own} {
		for _, d := range catalog.All() {
			require.NoError(tb, db.Register(d.New()))
		}
	}
	var err error
	w.masterKey, err = seal.NewMasterKey()
	require.NoError(tb, err)
	sealer, err := newBox(w.masterKey)
	require.NoError(tb, err)
	worker := postgres.Shared{DB: own}
	w.sources = inbound.NewSources(inbound.SourceNeeds{
		Store: postgres.NewInbound(w.DB, api), Queue: postgres.NewJobs(api, nil), Sealer: sealer, Secrets: tokens(),
		Validate: validate.New(), Now: w.now,
	})
	w.store, w.queue = postgres.NewInbound(own, worker), postgres.NewJobs(worker, nil)
	w.events = inbound.NewEvents(w.store, w.queue, w.now)
	for _, d := range catalog.All() {
		w.resources[d.Plural] = resource.NewService(d, resource.Dependencies{
			Store: postgres.NewResources(worker), History: postgres.NewAudit(worker), Validator: validate.New(), Now: w.now,
		})
	}
	handlers, err := workerjobs.InboundHandlers(w.resources["orders"])
	require.NoError(tb, err)
	w.processor = inbound.NewProcessor(w.store, handlers, w.now)
	local, err := limits.NewLocal(limits.LocalConfig{Clock: w.now})
	require.NoError(tb, err)
	needs := inbound.ReceiverNeeds{Store: w.store, Queue: w.queue, Sealer: sealer, Secrets: tokens(), Limiter: local, Now: w.now}
	registry, log := prometheus.NewRegistry(), logging.New(logging.Config{Output: w.logs, Process: "worker"})
	log.SetLevel(logrus.InfoLevel)
	w.config = intake.Config{Log: log, HTTP: metrics.NewHTTP(registry), Registry: registry, Now: w.now}
	for _, c := range change {
		c(&needs, &w.config)
	}
	w.receiver = inbound.NewReceiver(needs)
	w.config.Receiver = w.receiver
	w.handler = intake.New(w.config)
	w.quarantine(tb)
	w.url = w.serve(tb, 0)
	return w
}

// serve serves the intake until the test ends, and returns its address. Requests have to come within the timeout; 0 is
// no limit: a machine that stands still is no slow sender.
func (w *world) serve(tb testing.TB, readTimeout time.Duration) (url string) {
	tb.Helper()
	server := httptest.NewUnstartedServer(w.handler)
	server.Config.ReadTimeout = readTimeout
	server.Start()
	tb.Cleanup(server.Close)
	return server.URL
}

// quarantine writes down what is quarantined, beside the intake, until the test ends.
func (w *world) quarantine(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.receiver.Run(ctx, func(err error) { tb.Errorf("quarantine: %v", err) })
	}()
	tb.Cleanup(func() {
		cancel()
		<-done
	})
}

func (w *world) now() time.Time { return w.began.Add(time.Duration(w.ahead.Load())) }

// source makes a source and returns it with the path that its provider posts to.
func (w *world) source(tb testing.TB, in inbound.SourceInput) (inbound.Source, string) {
	tb.Helper()
	if in.Name == "" {
		in.Name = "Test"
	}
	source, err := w.sources.Create(tb.Context(), w.scope, in)
	require.NoError(tb, err)
	path, err := w.sources.Address(w.owner(), source)
	require.NoError(tb, err)
	return source, path
}

func (w *world) owner() tenancy.Scope {
	scope := w.scope
	scope.Actor.Permissions = []string{members.WebhooksWrite}
	return scope
}

// answer is what the intake said.
type answer struct {
	status int
	header http.Header
	body   string
}

// post sends a message to a path.
func (w *world) post(tb testing.TB, path, body string, headers map[string]string) answer {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
	require.NoError(tb, err)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	return w.do(tb, request)
}

func (w *world) do(tb testing.TB, request *http.Request) answer {
	tb.Helper()
	response, err := http.DefaultClient.Do(request)
	require.NoError(tb, err)
	defer func() { assert.NoError(tb, response.Body.Close()) }()
	data, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	return answer{response.StatusCode, response.Header, string(data)}
}

func mac(key, text string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = h.Write([]byte(text))
	return h.Sum(nil)
}

// The secrets that sign makes signatures with.
const (
	stripeSecret = "whsec_of_the_tests"
	anySecret    = "a secret of the tests"
)

// sign returns the headers of a message as its provider would send it.
func sign(provider, id, eventType, body string, at time.Time) map[string]string {
	ts := fmt.Sprint(at.Unix())
	switch provider {
	case "stripe":
		return map[string]string{"Stripe-Signature": "t=" + ts + ",v1=" + hex.EncodeToString(mac(stripeSecret, ts+"."+body))}
	case "github":
		return map[string]string{
			"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac(anySecret, body)), "X-GitHub-Delivery": id, "X-GitHub-Event": eventType,
		}
	case "shopify":
		return map[string]string{
			"X-Shopify-Hmac-Sha256": base64.StdEncoding.EncodeToString(mac(anySecret, body)), "X-Shopify-Webhook-Id": id, "X-Shopify-Topic": eventType,
		}
	default:
		return map[string]string{
			"X-Slack-Signature": "v0=" + hex.EncodeToString(mac(anySecret, "v0:"+ts+":"+body)), "X-Slack-Request-Timestamp": ts,
		}
	}
}

// hub makes a source of GitHub's; github posts a signed message to it.
func (w *world) hub(tb testing.TB) (inbound.Source, string) {
	tb.Helper()
	return w.source(tb, inbound.SourceInput{Provider: "github", Secrets: []string{anySecret}})
}

func (w *world) github(tb testing.TB, path, id, body string) answer {
	tb.Helper()
	return w.post(tb, path, body, sign("github", id, "push", body, w.now()))
}

// received are a source's events, newest first.
func (w *world) received(tb testing.TB, source inbound.Source, states ...inbound.State) []inbound.Event {
	tb.Helper()
	p, err := w.events.List(tb.Context(), w.scope, inbound.Query{
		Request: page.Request{Limit: page.MaxLimit}, SourceID: source.ID, States: states,
	})
	require.NoError(tb, err)
	return p.Items
}

// work runs the jobs that wait, as a worker would, until none does, and returns how many failed.
func (w *world) work(tb testing.TB) int {
	tb.Helper()
	failed := 0
	done := map[tenancy.ID]bool{}
	for {
		waiting, err := w.queue.ListJobs(tb.Context(), tenancy.AsSystem(w.scope.Tenant, ""), jobs.Query{
			Request: page.Request{Limit: page.MaxLimit}, States: []jobs.State{jobs.Pending},
		})
		require.NoError(tb, err)
		ran := 0
		for _, job := range waiting {
			if done[job.ID] {
				continue
			}
			done[job.ID] = true
			ran++
			if w.run(tb, job) != nil {
				failed++
			}
			w.Exec(tb, "delete from jobs where tenant_id = $1 and id = $2", job.Tenant.String(), job.ID.String())
		}
		if ran == 0 {
			return failed
		}
	}
}

func (w *world) run(tb testing.TB, job jobs.Job) error {
	tb.Helper()
	run := &jobs.Run{Job: job, Scope: tenancy.AsSystem(job.Tenant, job.RequestID)}
	for _, handler := range workerjobs.Handlers(workerjobs.Needs{Processor: w.processor, Events: w.events}) {
		if handler.Kind.Name == job.Kind {
			return handler.Run(tb.Context(), run)
		}
	}
	tb.Fatalf("nobody runs %s", job.Kind)
	return nil
}

// order makes a placed order of 20.00 EUR.
func (w *world) order(tb testing.TB, scope tenancy.Scope) *orders.Order {
	tb.Helper()
	customer := &customers.Customer{Name: "Jenny"}
	require.NoError(tb, w.resources["customers"].Create(tb.Context(), scope, customer))
	o := &orders.Order{
		CustomerID: customer.ID, Currency: "EUR", Lines: []orders.Line{{SKU: "TEA", Quantity: 2, UnitPriceCents: 1000}},
	}
	require.NoError(tb, w.resources["orders"].Create(tb.Context(), scope, o))
	return w.act(tb, scope, o.ID, "placed", (*orders.Order).Place)
}

func (w *world) act(tb testing.TB, scope tenancy.Scope, id tenancy.ID, done string, do func(*orders.Order, time.Time) error) *orders.Order {
	tb.Helper()
	e, err := w.resources["orders"].Perform(tb.Context(), scope, id, 0, resource.ActOf(done, done, do))
	require.NoError(tb, err)
	o, ok := e.(*orders.Order)
	require.True(tb, ok)
	return o
}

func (w *world) findOrder(tb testing.TB, scope tenancy.Scope, id tenancy.ID) *orders.Order {
	tb.Helper()
	e, err := w.resources["orders"].Find(tb.Context(), scope, id, resource.Live)
	require.NoError(tb, err)
	o, ok := e.(*orders.Order)
	require.True(tb, ok)
	return o
}

const (
	waitFor = time.Minute
	tick    = 5 * time.Millisecond
)
