package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/members"
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

func reportRoutes(service *reports.Service, cs cursors) []Route {
	h := reportHandler{service: service, cursors: cs}
	const root, one = "/reports", "/reports/:id"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.ReportsRead, Status: http.StatusOK,
			Params:  pageParameters("kind", "from", "to", "versions"),
			Summary: "List reports, the latest day first", Answer: reports.Head{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: members.ReportsWrite, Status: http.StatusAccepted,
			Summary: "Make the report of a day, or make it again, by a job", Body: reports.Request{}, Answer: reportOrdered{}, Handle: h.order,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.ReportsRead, Status: http.StatusOK,
			Summary: "Read a report's figures", Answer: reports.Report{}, Handle: h.find,
		},
		{
			Method: http.MethodGet, Path: one + "/content", Access: Tenant, Permission: members.ReportsRead, Status: http.StatusOK,
			Params: []string{"format"}, Summary: "Read a report as a page, or download it as PDF, workbook or table", Binary: true, Handle: h.content,
		},
	}
}

type reportHandler struct {
	service *reports.Service
	cursors cursors
}

func (h reportHandler) list(c *Call) error {
	params := url.Values(c.Query())
	request, sealed, err := pageParams(params)
	if err != nil {
		return err
	}
	query := reports.Query{Kind: params.Get("kind"), AllVersions: params.Get("versions") == "all"}
	if params.Has("versions") && !query.AllVersions && params.Get("versions") != "latest" {
		return badParameter("versions", "oneof", "must be latest or all; leave it out for the latest of each day")
	}
	if !utf8.ValidString(query.Kind) || strings.ContainsRune(query.Kind, 0) {
		return badParameter("kind", "encoding", "must be UTF-8 without NUL characters")
	}
	if query.From, err = dayParam(params, "from"); err != nil {
		return err
	}
	if query.To, err = dayParam(params, "to"); err != nil {
		return err
	}
	name := filtered("reports", params)
	if err := h.cursors.open(c.Scope, name, sealed, &request); err != nil {
		return err
	}
	query.Request = request
	p, err := h.service.List(c.Context(), c.Scope, query)
	if err != nil {
		return err
	}
	return answerPage(c, h.cursors, name, p, func(head reports.Head) reports.Head { return head })
}

func dayParam(params url.Values, name string) (reports.Day, error) {
	if !params.Has(name) {
		return reports.Day{}, nil
	}
	day, err := reports.ParseDay(params.Get(name))
	if err != nil {
		return reports.Day{}, badParameter(name, "day", err.Error())
	}
	return day, nil
}

func (h reportHandler) order(c *Call) error {
	var in reports.Request
	if err := c.Decode(&in); err != nil {
		return err
	}
	done, err := h.service.Order(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	return answerOrdered(c, done.ID)
}

// answerOrdered answers with the job that makes a report.
func answerOrdered(c *Call, job tenancy.ID) error {
	return answerAccepted(c, job, reportOrdered{JobID: job})
}

func (h reportHandler) find(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	report, err := h.service.Find(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	return c.Answer(http.StatusOK, report)
}

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
			return badParameter("format", "oneof", "is no format; the formats are: "+strings.Join(reportFormats(), ", "))
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

// reportFormats are the formats, as texts.
func reportFormats() []string {
	var names []string
	for _, f := range reports.Formats() {
		names = append(names, string(f))
	}
	return names
}
