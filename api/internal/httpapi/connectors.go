package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// syncStarted is a sync that a job makes.
type syncStarted struct {
	JobID   tenancy.ID `json:"job_id" doc:"The job at /jobs/{id}, which tells how far it is and what came of it."`
	Existed bool       `json:"existed" doc:"Whether a sync waited or ran already: it is that one, and does what is asked for now as well."`
}

func connectorRoutes(service *connectors.Service) []Route {
	const root, one, read, write = "/connectors", "/connectors/:id", members.ConnectorsRead, members.ConnectorsWrite
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Summary: "List connectors, without their credentials", Answer: connectors.Connector{}, IsList: true,
			Handle: withPage("connectors", service.List, itself),
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated,
			Summary: "Make a connector, which keeps records in step with another program's", Body: connectors.Input{},
			Answer: connectors.Connector{}, Versioned: true, Handle: withBody(service.Create, answerMadeConnector),
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Summary: "Read a connector, and how its syncs went", Answer: connectors.Connector{}, Versioned: true,
			Handle: withID(service.Find, answerConnector),
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Change a connector; a sync that is under way begins again", Body: connectors.Settings{}, Patch: true,
			Answer: connectors.Connector{}, Versioned: true, Handle: withPatch(service.Change, answerConnector),
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Delete a connector; the records that it brought in stay", Handle: withMatch(service.Delete),
		},
		{
			Method: http.MethodPost, Path: one + "/sync", Access: Tenant, Permission: write, Status: http.StatusAccepted,
			Summary: "Have a connector synced now, by a job", Body: connectors.SyncInput{}, Answer: syncStarted{},
			Handle: withIDAndBody(service.Sync, answerSync),
		},
	}
}

func answerMadeConnector(c *Call, made connectors.Connector) error {
	return c.answerMade("/connectors", made.ID, made.Version, made)
}

// answerConnector never answers 304: how syncs went moves without the version.
func answerConnector(c *Call, found connectors.Connector) error {
	return c.answerRecord(found.Version, found)
}

func answerSync(c *Call, job jobs.Enqueued) error {
	return answerAccepted(c, job.ID, syncStarted{JobID: job.ID, Existed: job.Existed})
}
