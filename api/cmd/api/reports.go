package main

import (
	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/backend/printer"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// newReports wires reports: the API reads and renders them, and has a job make them.
func newReports(base *backend.Process, directory reports.Directory, queue jobs.Queue, rights *access.Rights) (httpapi.Reports, error) {
	store := postgres.NewReports(base.Router)
	needs := reports.Needs{
		Kinds: reports.Kinds(postgres.NewSales(base.Router)), Store: store, Schedules: store, Directory: directory, Queue: queue,
		Printer: printer.Printer{}, Rights: rights, Validate: validate.New(), Now: base.Now,
	}
	service, err := reports.NewService(needs)
	return httpapi.Reports{Service: service, Schedules: reports.NewSchedules(needs)}, err
}
