package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// transferStarted is an import or an export that a job makes.
type transferStarted struct {
	JobID tenancy.ID `json:"job_id" doc:"The job that does it; its result says what came of it."`
}

func exportRoutes(service *transfers.Exports) []Route {
	h := exportHandler{service: service}
	return []Route{{
		// The permission is that of the records: customers:read for customers.
		Method: http.MethodPost, Path: "/exports", Access: Tenant, Status: http.StatusAccepted,
		Summary: "Have records written into a file, by a job", Body: transfers.ExportInput{}, Answer: transferStarted{},
		Handle: h.start,
	}}
}

type exportHandler struct{ service *transfers.Exports }

func (h exportHandler) start(c *Call) error {
	var in transfers.ExportInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	export, err := h.service.Read(in)
	if err != nil {
		return err
	}
	if !c.Scope.Actor.May(export.Permission()) {
		return permissionDenied(export.Permission())
	}
	job, err := h.service.Start(c.Context(), c.Scope, export)
	if err != nil {
		return err
	}
	return answerTransfer(c, job)
}
