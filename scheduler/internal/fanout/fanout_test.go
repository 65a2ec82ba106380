package fanout_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/scheduler/internal/fanout"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// sealer seals under a key of the test's own.
type sealer struct{ master *seal.Sealer }

func (s sealer) Seal(plaintext, binding []byte) ([]byte, error) {
	return s.master.Seal(plaintext, seal.AAD{Table: "-", Column: "-", Row: string(binding)})
}

func (s sealer) Open(sealed, binding []byte) ([]byte, error) {
	return s.master.Open(sealed, seal.AAD{Table: "-", Column: "-", Row: string(binding)})
}

func (s sealer) NeedsReseal(sealed []byte) bool { return s.master.NeedsReseal(sealed) }

// interrupted fails its first rounds.
type interrupted struct {
	*webhooks.Dispatcher

	failures atomic.Int64
}

var errAway = errors.New("the database is away")

func (i *interrupted) FanOut(ctx context.Context) (int, error) {
	if i.failures.Add(-1) >= 0 {
		return 0, errAway
	}
	return i.Dispatcher.FanOut(ctx)
}

// TestLoop runs the loop over a real database: a change becomes a delivery when the bell rings, long before the poll, and
// also after rounds that failed.
func TestLoop(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	key, err := seal.NewMasterKey()
	require.NoError(t, err)
	master, err := seal.New(key)
	require.NoError(t, err)
	scope := s.Tenant(t)
	app := postgres.Shared{DB: s.DB}
	require.NoError(t, s.DB.Register(customers.Definition().New()))
	caller, err := backend.NewCaller([]string{"127.0.0.0/8"}, config.Production)
	require.NoError(t, err)
	hooks := postgres.NewWebhooks(app, sealer{master}, postgres.NewJobs(app, nil))
	service := webhooks.NewService(webhooks.Needs{
		Endpoints: hooks, Deliveries: hooks, Checker: caller, Types: catalog.EventTypes(), Validate: validate.New(), Now: time.Now,
	})
	_, _, err = service.Create(t.Context(), scope, webhooks.Input{URL: "http://127.0.0.1:9/", Events: []string{"*"}})
	require.NoError(t, err)

	system := s.Open(t, postgres.Config{URL: s.SystemURL})
	outbox := postgres.NewWebhookOutbox(system, postgres.NewJobs(postgres.Shared{DB: system}, nil))
	broken := &interrupted{Dispatcher: webhooks.NewDispatcher(outbox, time.Now)}
	broken.failures.Store(1)
	log := logrus.New()
	log.SetOutput(io.Discard)
	loop := fanout.New(fanout.Config{
		FanOut: broken, Release: webhooks.NewDispatcher(outbox, time.Now), Poll: time.Hour, Log: log, Registry: prometheus.NewRegistry(),
	})
	s.DB.OnEvents(loop.Wake)
	component := loop.Component(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- component.Serve() }()

	records := resource.NewService(customers.Definition(), resource.Dependencies{
		Store: postgres.NewResources(app), History: postgres.NewAudit(app), Validator: validate.New(), Now: time.Now,
	})
	for n := 1; n <= 3; n++ {
		require.NoError(t, records.Create(t.Context(), scope, &customers.Customer{Name: "a"}))
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			p, err := service.ListDeliveries(t.Context(), scope, webhooks.Query{})
			assert.NoError(c, err)
			assert.Len(c, p.Items, n)
		}, time.Minute, 5*time.Millisecond)
	}
	require.NoError(t, component.Stop(t.Context()))
	require.NoError(t, <-ended)
}
