package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/backfills"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/files"
	domainjobs "github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/mediatype"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/blobs"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/worker/cmd/internal/engine"
	"github.com/groundwork-saas/groundwork/worker/internal/jobs"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// process is what all parts of the worker stand on.
type process struct {
	cfg      settings
	log      *logrus.Logger
	registry prometheus.Registerer
	base     *backend.Backend
	now      func() time.Time
	// reading finds the databases that reports read from.
	reading postgres.Router
}

// newEngine wires the running of the queues' jobs.
func newEngine(ctx context.Context, p *process, queues []runner.Queue) (*engine.Engine, error) {
	e, err := engine.Open(ctx, engine.Config{
		SystemURL: p.cfg.SystemDatabaseURL.Reveal(), RedisURL: p.cfg.RedisURL.Reveal(), Router: p.base.Router, Queues: queues,
		Lease: p.cfg.JobLease, Log: p.log, Registry: p.registry, Now: p.now,
	})
	if err != nil {
		return nil, err
	}
	p.base.DB.OnEvents(e.Bells.EventsBell()) //nolint:contextcheck // they live as long as the process
	handlers, err := p.handlers(e)
	if err == nil {
		err = e.Handle(handlers) //nolint:contextcheck // jobs end with the runner, not with its making
	}
	if err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return e, nil
}

// handlers are those of all kinds that this process has what they need for.
func (p *process) handlers(e *engine.Engine) ([]domainjobs.Handler, error) {
	endpoints := postgres.NewWebhooks(p.base.Router, p.base.Sealer, e.Tenants)
	endpoints.WhenDisabled(jobs.MailDisabled(e.Tenants))
	reported, err := newReports(p, e.Tenants)
	if err != nil {
		return nil, err
	}
	mails, err := newNotices(p, endpoints, reported)
	if err != nil {
		return nil, err
	}
	caller, err := backend.NewCaller(p.cfg.WebhookAllow, p.cfg.Environment)
	if err != nil {
		return nil, err
	}
	needs, err := p.needs(e.Tenants)
	if err != nil {
		return nil, err
	}
	needs.Trash, needs.Expiries, needs.Notices = p.trash(), p.expiries(e.System, e.Desk), mails
	needs.Reports = reported
	needs.Webhooks = webhooks.NewCourier(endpoints, jobs.Measured(caller, p.registry, p.now), p.now)
	kept, err := p.fileService()
	if err != nil {
		return nil, err
	}
	needs.Imports = p.imports(kept)
	if needs.Connectors, err = p.connectors(); err != nil {
		return nil, err
	}
	needs.Exports = transfers.NewExporter(transfers.ExporterNeeds{
		Definitions: catalog.All(), Store: postgres.NewExports(p.base.Router), Files: kept, Rights: p.rights(), Tell: jobs.MailExport(e.Tenants),
		Now: p.now,
	})
	rows, err := postgres.NewBackfills(p.base.DB, postgres.ProductBackfills())
	if err != nil {
		return nil, err
	}
	needs.Backfills, needs.Now = backfills.NewService(rows, e.Tenants, p.now), p.now
	return jobs.Handlers(needs), nil
}

// rights says what those may do now who asked for something earlier.
func (p *process) rights() *access.Rights {
	return access.NewRights(postgres.NewIdentity(p.base.DB), members.NewRoles(catalog.Permissions()), p.now)
}

// fileService is what jobs read files by, and keep those that they make.
func (p *process) fileService() (*files.Service, error) {
	contents, err := blobs.Open(p.cfg.Files)
	if err != nil {
		return nil, err
	}
	return files.NewService(files.Needs{
		Store: postgres.NewFiles(p.base.Router), Contents: contents, Sniff: mediatype.Of, Sealer: p.base.Sealer, Now: p.now,
	}, files.Config{QuotaBytes: int64(p.cfg.FilesQuotaBytes)}), nil
}
