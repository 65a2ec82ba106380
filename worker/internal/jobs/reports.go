package jobs

import (
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/reports"
)

// reportHandlers plan tenants' nights and make reports. They are mailed by Mail.
func reportHandlers(service *reports.Service) []jobs.Handler {
	return []jobs.Handler{
		jobs.Handle(service.Nightly),
		jobs.Handle(service.Run),
	}
}
