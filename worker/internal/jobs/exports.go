package jobs

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// MakeExport makes the files of exports.
func MakeExport(exporter *transfers.Exporter) jobs.Handler { return jobs.Handle(exporter.Run) }

// MailExport returns what enqueues the mail about an export that is done, in the transaction in which its file comes to
// be. Programs that ask by a key watch the job instead.
func MailExport(queue jobs.Queue) func(context.Context, *jobs.Run, transfers.Export, transfers.Exported) error {
	return func(ctx context.Context, run *jobs.Run, e transfers.Export, done transfers.Exported) error {
		if e.AskedAs != tenancy.User {
			return nil
		}
		_, err := jobs.Enqueue(ctx, queue, run.Scope, notices.ExportReady{
			UserID: e.AskedBy, ExportID: run.Job.ID, Resource: e.Resource, Format: string(e.Format), Rows: done.Rows,
		})
		return err
	}
}
