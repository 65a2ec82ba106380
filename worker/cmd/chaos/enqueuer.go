package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/worker/cmd/internal/stand"
)

// errOnPurpose rolls a transaction back.
var errOnPurpose = errors.New("this transaction is rolled back on purpose")

// enqueuer has jobs done as an API does: in transactions of tenants, some of which are rolled back.
type enqueuer struct {
	db      *postgres.DB
	client  *redis.Client
	bells   *redis.Bells
	queue   *postgres.Jobs
	service *jobs.Service
	tenants []tenancy.ID
	ledger  *ledger
	now     func() time.Time
	// slowFor is how long slow jobs take.
	slowFor time.Duration
	// withRare has jobs among them that half of the workers do not know. They take half a minute.
	withRare bool

	cancels sync.WaitGroup
}

// tenantCount is how many tenants have jobs.
const tenantCount = 40

func newEnqueuer(ctx context.Context, s *stand.Stand, o options) (*enqueuer, error) {
	e := &enqueuer{now: o.now, ledger: newLedger(), slowFor: o.lease * 6 / 5, withRare: !o.brief}
	var err error
	if e.db, err = postgres.Open(ctx, postgres.Config{URL: s.RoleURL("groundwork_app"), MaxConnections: 8, Now: o.now}); err != nil {
		return nil, err
	}
	if e.client, err = redis.Open(redis.Config{URL: s.RedisURL()}); err != nil {
		return nil, errors.Join(err, e.db.Close())
	}
	e.bells = redis.NewBells(e.client) //nolint:contextcheck // they end with close
	e.queue = postgres.NewJobs(postgres.Shared{DB: e.db}, e.bells.Wake)
	e.service = jobs.NewService(e.queue, func(_ context.Context, ref jobs.Ref) { e.bells.Cancel(ref) }, o.now) //nolint:contextcheck // the message goes on its own
	admin, err := s.Admin(ctx)
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	defer admin.Close(context.WithoutCancel(ctx))
	for range tenantCount {
		id := tenancy.NewID()
		e.tenants = append(e.tenants, id)
		if _, err := admin.Exec(ctx, "insert into tenants (id, name, created_at, updated_at) values ($1, 'Chaos', now(), now())", id.String()); err != nil {
			return nil, errors.Join(fmt.Errorf("make a tenant: %w", err), e.close())
		}
	}
	return e, nil
}

func (e *enqueuer) close() error {
	e.cancels.Wait()
	e.bells.Close()
	return errors.Join(e.client.Close(), e.db.Close())
}

// run enqueues so many jobs a second until the context ends, and something poisonous now and then.
func (e *enqueuer) run(ctx context.Context, rate int, seed uint64) {
	const batch = 5                          // jobs in a transaction at most; half of them on average
	random := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // chosen so that it can be repeated
	tick := time.NewTicker(time.Second * (batch + 1) / 2 / time.Duration(rate))
	defer tick.Stop()
	poisonous := time.NewTicker(10 * time.Second)
	defer poisonous.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poisonous.C:
			e.enqueue(ctx, random, []jobs.New{must(poison{})})
		case <-tick.C:
			list := make([]jobs.New, 1+random.IntN(batch))
			for i := range list {
				list[i] = e.any(random)
			}
			if e.enqueue(ctx, random, list) == unknown {
				_ = wait(ctx, 50*time.Millisecond)
			}
		}
	}
}

// any is a job of any kind.
func (e *enqueuer) any(random *rand.Rand) jobs.New {
	switch n := random.IntN(100); {
	case n < 10:
		return must(flaky{})
	case n < 18:
		return must(single{Key: random.IntN(30)})
	case n < 26:
		return must(capped{})
	case n < 36:
		return must(doomed{})
	case n < 51:
		return must(call{})
	case n < 52:
		return must(slow{Millis: e.slowFor.Milliseconds()})
	case n < 60:
		return must(row{}).At(e.now().Add(time.Duration(500+random.IntN(3000)) * time.Millisecond))
	case n < 63 && e.withRare:
		return must(rare{})
	default:
		return must(row{})
	}
}

// enqueue enqueues jobs of one tenant in a transaction, rolls one in ten back, and has those cancelled soon that are to be.
func (e *enqueuer) enqueue(ctx context.Context, random *rand.Rand, list []jobs.New) commit {
	scope := tenancy.AsSystem(e.tenants[random.IntN(len(e.tenants))], "")
	back := random.IntN(10) == 0
	became := e.commit(ctx, scope, list, back)
	if became != committed {
		return became
	}
	for _, job := range list {
		if job.Kind.Name == (doomed{}).JobKind().Name {
			after := time.Duration(random.IntN(1500)) * time.Millisecond
			e.cancels.Go(func() {
				if wait(ctx, after) == nil {
					_, _ = e.service.Cancel(ctx, scope, job.ID) // which may come too late, or find nobody
				}
			})
		}
	}
	return became
}

func (e *enqueuer) commit(ctx context.Context, scope tenancy.Scope, list []jobs.New, back bool) commit { //nolint:revive // the two ways of a transaction
	// A transaction that the end of the trial cuts short would be one more unknown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var done []jobs.Enqueued
	err := e.db.InTx(ctx, scope, func(ctx context.Context) (err error) {
		if done, err = e.queue.Enqueue(ctx, scope, list...); err == nil && back {
			err = errOnPurpose
		}
		return err
	})
	became := committed
	switch {
	case errors.Is(err, errOnPurpose):
		became = rolledBack
	case err != nil:
		became = unknown
	}
	e.ledger.note(list, done, became)
	return became
}

// many enqueues n jobs at once, of kinds that end by themselves and soon.
func (e *enqueuer) many(ctx context.Context, n int, seed uint64) error {
	const batch = 500
	random := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // chosen so that it can be repeated
	for n > 0 && ctx.Err() == nil {
		list := make([]jobs.New, min(n, batch))
		for i := range list {
			switch random.IntN(10) {
			case 0:
				list[i] = must(flaky{})
			case 1, 2:
				list[i] = must(call{})
			default:
				list[i] = must(row{})
			}
		}
		if e.commit(ctx, tenancy.AsSystem(e.tenants[random.IntN(len(e.tenants))], ""), list, false) != committed {
			return errors.New("the jobs could not be enqueued")
		}
		n -= len(list)
	}
	return ctx.Err()
}

// naps enqueues a burst of jobs that take a moment each, of all tenants.
func (e *enqueuer) naps(ctx context.Context, n int) {
	for _, tenant := range e.tenants {
		list := make([]jobs.New, n/len(e.tenants))
		for i := range list {
			list[i] = must(nap{})
		}
		e.commit(ctx, tenancy.AsSystem(tenant, ""), list, false)
	}
}

// must is the job of arguments that are ours.
func must(args jobs.Args) jobs.New {
	job, err := jobs.Of(args)
	if err != nil {
		panic(err)
	}
	return job
}
