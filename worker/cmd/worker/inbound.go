package main

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/secrets"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
	"github.com/groundwork-saas/groundwork/worker/internal/intake"
	"github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// needs are what the handlers of jobs stand on; tenants takes the jobs that they enqueue.
func (p *process) needs(tenants *postgres.Jobs) (jobs.Needs, error) {
	handlers, err := p.inboundHandlers()
	if err != nil {
		return jobs.Needs{}, err
	}
	arrivals := postgres.NewInbound(p.base.DB, p.base.Router)
	return jobs.Needs{
		Processor: inbound.NewProcessor(arrivals, handlers, p.now),
		Events:    inbound.NewEvents(arrivals, tenants, p.now),
	}, nil
}

// inboundHandlers are who handles inbound events.
func (p *process) inboundHandlers() (*inbound.Handlers, error) {
	return jobs.InboundHandlers(resource.NewService(orders.Definition(), resource.Dependencies{
		Store: postgres.NewResources(p.base.Router), History: postgres.NewAudit(p.base.Router), Validator: validate.New(), Now: p.now,
	}))
}

// newIntake wires the intake of webhooks.
func newIntake(ctx context.Context, p *process) ([]lifecycle.Component, error) {
	handlers, err := p.inboundHandlers()
	if err != nil {
		return nil, err
	}
	limiting, err := p.base.Limiter(p.registry, p.now)
	if err != nil {
		return nil, err
	}
	bells := redis.NewBells(p.base.Redis) //nolint:contextcheck // they end with the process, not with its making
	receives := intake.New(intake.Config{
		MaxBody: int64(p.cfg.IntakeMaxBody), TrustedProxies: p.cfg.TrustedProxies,
		Receiver: inbound.NewReceiver(inbound.ReceiverNeeds{
			Store: postgres.NewInbound(p.base.DB, p.base.Router), Queue: postgres.NewJobs(p.base.Router, bells.Wake),
			Sealer:  p.base.Sealer,
			Secrets: members.Secrets{New: secrets.Token, Check: secrets.Check, Hash: secrets.Hash},
			Limiter: limiting, Handlers: handlers, Now: p.now,
			SourceRate: limits.Rate(p.cfg.IntakeRateSource), AddressRate: limits.Rate(p.cfg.IntakeRateAddress),
		}),
		Log: p.log, HTTP: metrics.NewHTTP(p.registry), Registry: p.registry, Now: p.now,
	})
	closing := lifecycle.Component{Name: "connections of the intake", Stop: func(context.Context) error {
		bells.Close()
		limiting.Close()
		return nil
	}}
	return []lifecycle.Component{closing, receives.Background(ctx), receives.Server(string(p.cfg.IntakeAddr), p.cfg.ShutdownDelay, nil)}, nil
}
