package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Reports is what is reported, and when.
type Reports struct {
	Service   *reports.Service
	Schedules *reports.Schedules
}

// reportOrdered is a report that a job makes.
type reportOrdered struct {
	JobID tenancy.ID `json:"job_id" doc:"The job that makes it; its result names the report."`
}

func reportRoutes(service *reports.Service) []Route {
	h := reportHandler{service: service}
	const root, one = "/reports", "/reports/:id"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.ReportsRead, Status: http.StatusOK,
			Params:  pageParameters("kind", "from", "to", "versions"),
			Summary: "List reports, the latest day first", Answer: reports.Head{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: members.ReportsWrite, Status: http.StatusAccepted,
			Summary: "Make the report of a day, or make it again, by a job", Body: reports.Request{}, Answer: reportOrdered{},
			Handle: withBody(service.Order, answerOrdered),
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.ReportsRead, Status: http.StatusOK,
			Summary: "Read a report's figures", Answer: reports.Report{}, Handle: withID(service.Find, answerReport),
		},
		{
			Method: http.MethodGet, Path: one + "/content", Access: Tenant, Permission: members.ReportsRead, Status: http.StatusOK,
			Params: []string{"format"}, Summary: "Read a report as a page, or download it as PDF, workbook or table", Binary: true, Handle: h.content,
		},
	}
}

type reportHandler struct{ service *reports.Service }

func (h reportHandler) list(c *Call) error {
	q := c.filteredList("reports")
	query := reports.Query{AllVersions: q.Get("versions") == "all"}
	if q.Has("versions") && !query.AllVersions && q.Get("versions") != "latest" {
		q.refuse("versions", "oneof", "must be latest or all; leave it out for the latest of each day")
	}
	query.Kind, query.From, query.To = q.text("kind"), q.day("from"), q.day("to")
	return answerList(q, func(request page.Request) (page.Page[reports.Head], error) {
		query.Request = request
		return h.service.List(c.Context(), c.Scope, query)
	}, itself)
}

// answerOrdered answers with the job that makes a report.
func answerOrdered(c *Call, job jobs.Enqueued) error {
	return answerAccepted(c, job.ID, reportOrdered{JobID: job.ID})
}

func answerReport(c *Call, report reports.Report) error { return c.Answer(http.StatusOK, report) }

// pagePolicy lets a report's page have its own styles and nothing else.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"

func (h reportHandler) content(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	format := reports.HTML
	if params := url.Values(c.Query()); params.Has("format") {
		if format = reports.Format(params.Get("format")); !slices.Contains(reports.Formats(), format) {
			return badParameter("format", "oneof", "is no format; the formats are: "+strings.Join(textsOf(reports.Formats()), ", "))
		}
	}
	rendered, err := h.service.Render(c.Context(), c.Scope, id, format)
	if err != nil {
		return err
	}
	sent := contentsOf(rendered.Name, rendered.ContentType, rendered.Data)
	sent.isWhole = !format.IsRepeatable()
	if format == reports.HTML {
		sent.policy, sent.isShown = pagePolicy, true
	}
	return sent.send(c)
}
