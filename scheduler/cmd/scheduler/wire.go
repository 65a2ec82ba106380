package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/scheduler/internal/dispatch"
	"github.com/groundwork-saas/groundwork/scheduler/internal/fanout"
	"github.com/groundwork-saas/groundwork/scheduler/internal/schedule"
	"github.com/groundwork-saas/groundwork/scheduler/internal/survey"
	"github.com/groundwork-saas/groundwork/scheduler/internal/upkeep"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/redis"
)

// parts are those of the process that have to do with jobs.
type parts struct {
	dispatcher *dispatch.Dispatcher
	schedules  *schedule.Scheduler
	engine     *postgres.JobEngine
	bells      *redis.Bells
	fanout     *fanout.Loop
	survey     *survey.Survey
}

// wire builds them on the backend, whose database is open as the system's role.
func wire(base *backend.Backend, log *logrus.Logger, registry prometheus.Registerer, now func() time.Time) (*parts, error) {
	p := &parts{
		engine: postgres.NewJobEngine(base.DB, postgres.NewJobs(base.Router, nil)),
		bells:  redis.NewBells(base.Redis),
	}
	p.dispatcher = dispatch.New(dispatch.Config{
		Backlog: p.engine, Buffer: redis.NewJobs(base.Redis, now), Count: p.count, Log: log, Registry: registry, Now: now,
	})
	outbox := postgres.NewWebhookOutbox(base.DB, postgres.NewJobs(base.Router, p.bells.Wake))
	p.fanout = fanout.New(fanout.Config{
		FanOut: webhooks.NewDispatcher(outbox, now), Release: webhooks.NewDispatcher(outbox, now), Log: log, Registry: registry,
	})
	p.survey = survey.New(registry, log, sources(base)...)
	table, err := schedule.Table()
	if err != nil {
		return nil, err
	}
	p.schedules, err = schedule.New(schedule.Config{
		Store: postgres.NewSchedules(base.DB, p.bells.Wake), Schedules: table, Log: log, Registry: registry,
	})
	return p, err
}

// components run them. Bells ring for as long as anybody listens.
func (p *parts) components(ctx context.Context) []lifecycle.Component {
	bells := lifecycle.Component{
		Name: "bells",
		Start: func(context.Context) error {
			p.bells.OnWake(p.dispatcher.Wake)
			p.bells.OnEvents(p.fanout.Wake)
			return nil
		},
		Stop: func(context.Context) error {
			p.bells.Close()
			return nil
		},
	}
	return []lifecycle.Component{bells, p.dispatcher.Component(ctx), p.schedules.Component(ctx), p.fanout.Component(ctx), p.survey.Component(ctx)}
}

// count is what the engine counts, as the dispatcher measures it.
func (p *parts) count(ctx context.Context) ([]dispatch.Count, error) {
	stats, err := p.engine.JobStats(ctx)
	counts := make([]dispatch.Count, len(stats))
	for i, s := range stats {
		counts[i] = dispatch.Count{Queue: s.Queue, State: s.State, Jobs: s.Jobs, Oldest: s.Oldest}
	}
	return counts, err
}

// endedJobs is the duty to make room for the jobs that will end, and to let go of those that ended long ago.
func (p *parts) endedJobs(keep time.Duration) upkeep.Duty {
	return upkeep.Duty{Name: "ended jobs", Every: time.Hour, Run: func(ctx context.Context) error {
		_, _, err := p.engine.MaintainFinished(ctx, keep)
		return err
	}}
}
