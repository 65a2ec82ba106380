package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/backend/printer"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// reportingConnections is how many connections there are for reading figures, where they are read elsewhere.
const reportingConnections = 6

// newReports wires the making of reports; queue takes the jobs that follow.
func newReports(p *process, queue *postgres.Jobs) (*reports.Service, error) {
	store := postgres.NewReports(p.base.Router)
	return reports.NewService(reports.Needs{
		Kinds: reports.Kinds(postgres.NewSales(p.reading)), Store: store, Schedules: store, Directory: postgres.NewIdentity(p.base.DB),
		Queue: queue, Printer: printer.Printer{}, Rights: p.rights(), Validate: validate.New(), Now: p.now,
	})
}

// openReporting opens the database that figures are read from: the process's own, unless there is another for that. The
// function that it returns closes what it opened.
func (p *process) openReporting(ctx context.Context) (closing func() error, err error) {
	p.reading = p.base.Router
	url := p.cfg.ReportingDatabaseURL.Reveal()
	if url == "" {
		return func() error { return nil }, nil
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: url, MaxConnections: reportingConnections, Now: p.now})
	if err != nil {
		return nil, fmt.Errorf("open the database of REPORTING_DATABASE_URL: %w", err)
	}
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reach the database of REPORTING_DATABASE_URL: %w", err), db.Close())
	}
	metrics.RegisterPool(p.registry, "reporting", db.Stats)
	p.reading = postgres.Shared{DB: db}
	return db.Close, nil
}
