package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// importInput is an import as somebody asks for it.
type importInput struct {
	Resource string     `json:"resource" validate:"required" example:"customers" doc:"The resource whose records come in, in the plural."`
	FileID   tenancy.ID `json:"file_id"  validate:"required" doc:"The file, as it was uploaded to /files: CSV or XLSX."`
	Sheet    string     `json:"sheet"    validate:"max=100"  example:"Customers" doc:"The sheet of a workbook; the first one where it is left out."`
	Mode     string     `json:"mode"     validate:"required,oneof=create upsert" doc:"create makes a record of each row; upsert changes the one that has the row's value of a unique field, and creates it where there is none."`
	By       string     `json:"by"       validate:"max=100"  example:"code" doc:"The unique field that an upsert goes by."`
	DryRun   bool       `json:"dry_run"  doc:"Does all of it, tells what would come of it, and keeps nothing."`
	Atomic   bool       `json:"atomic"   doc:"Keeps all rows, or none where one is bad. Otherwise the good rows are kept and the bad ones are told of."`

	Format  *transfers.Format `json:"format"  doc:"How the file writes numbers, dates and text; what is left out is found out, or is as in ISO 8601."`
	Mapping map[string]any    `json:"mapping" doc:"From which column each field comes. Without it, columns go by the fields' names and aliases."`
}

func importRoutes(imports *transfers.Imports) []Route {
	h := importHandler{imports: imports}
	return []Route{
		{
			Method: http.MethodPost, Path: "/imports", Access: Tenant, Permission: members.FilesRead, Status: http.StatusAccepted,
			Summary: "Import records from a file", Body: importInput{}, Answer: transferStarted{}, Handle: h.start,
		},
		{
			Method: http.MethodPost, Path: "/imports/:id/resume", Access: Tenant, Permission: members.FilesRead, Status: http.StatusAccepted,
			Summary: "Go on with an import that was cancelled or failed, behind the last row that was kept", Answer: transferStarted{},
			Handle: withID(imports.Resume, answerTransfer),
		},
	}
}

type importHandler struct{ imports *transfers.Imports }

func (h importHandler) start(c *Call) error {
	var in importInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	request := transfers.ImportRequest{
		Resource: in.Resource, FileID: in.FileID, Sheet: in.Sheet, Mode: resource.BulkMode(in.Mode), By: in.By,
		DryRun: in.DryRun, Atomic: in.Atomic, Mapping: in.Mapping,
	}
	if in.Format != nil {
		request.Format = *in.Format
	}
	job, err := h.imports.Start(c.Context(), c.Scope, request)
	if err != nil {
		return err
	}
	return answerTransfer(c, job)
}

// answerTransfer answers with the job of an import or an export.
func answerTransfer(c *Call, job tenancy.ID) error {
	return answerAccepted(c, job, transferStarted{JobID: job})
}

// answerAccepted answers that a job does what was asked, and where to see how it goes.
func answerAccepted(c *Call, job tenancy.ID, body any) error {
	c.SetHeader("Location", Base+"/jobs/"+job.String())
	return c.Answer(http.StatusAccepted, body)
}
