package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/reports"
)

func reportScheduleRoutes(r Reports, cs cursors) []Route {
	h := reportScheduleHandler{schedules: r.Schedules, service: r.Service, cursors: cs}
	const root, one, read, write = "/report-schedules", "/report-schedules/:id", members.ReportsRead, members.ReportsWrite
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Summary: "List when reports are made, and who is sent them", Answer: reports.Schedule{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated,
			Summary: "Make a report schedule", Body: reports.Input{}, Answer: reports.Schedule{}, Versioned: true, Handle: h.create,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Summary: "Read a report schedule", Answer: reports.Schedule{}, Versioned: true, Handle: h.find,
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Change a report schedule; a night that is planned keeps its time", Body: reports.Settings{}, Patch: true,
			Answer: reports.Schedule{}, Versioned: true, Handle: h.change,
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Delete a report schedule; the reports stay", Handle: h.delete,
		},
		{
			Method: http.MethodPost, Path: one + "/send", Access: Tenant, Permission: write, Status: http.StatusAccepted,
			Summary: "Make the report of a day now and send it to a schedule's subscribers, by a job", Body: reports.Send{},
			Answer: reportOrdered{}, Handle: h.sendNow,
		},
	}
}

type reportScheduleHandler struct {
	schedules *reports.Schedules
	service   *reports.Service
	cursors   cursors
}

func (h reportScheduleHandler) list(c *Call) error {
	request, sealed, err := pageParams(c.Query())
	if err != nil {
		return err
	}
	if err := h.cursors.open(c.Scope, "report-schedules", sealed, &request); err != nil {
		return err
	}
	p, err := h.schedules.List(c.Context(), c.Scope, request)
	if err != nil {
		return err
	}
	return answerPage(c, h.cursors, "report-schedules", p, func(s reports.Schedule) reports.Schedule { return s })
}

func (h reportScheduleHandler) create(c *Call) error {
	var in reports.Input
	if err := c.Decode(&in); err != nil {
		return err
	}
	schedule, err := h.schedules.Create(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	c.SetHeader("Location", Base+"/report-schedules/"+schedule.ID.String())
	c.SetETag(schedule.Version)
	return c.Answer(http.StatusCreated, schedule)
}

func (h reportScheduleHandler) find(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	schedule, err := h.schedules.Find(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	c.SetETag(schedule.Version)
	if c.NotModified(schedule.Version) {
		return nil
	}
	return c.Answer(http.StatusOK, schedule)
}

func (h reportScheduleHandler) change(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	schedule, err := h.schedules.Change(c.Context(), c.Scope, id, match, func(s *reports.Settings) error { return c.Merge(s) })
	if err != nil {
		return err
	}
	c.SetETag(schedule.Version)
	return c.Answer(http.StatusOK, schedule)
}

func (h reportScheduleHandler) delete(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	if err := h.schedules.Delete(c.Context(), c.Scope, id, match); err != nil {
		return err
	}
	return c.NoContent()
}

func (h reportScheduleHandler) sendNow(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	var in reports.Send
	if err := c.Decode(&in); err != nil {
		return err
	}
	done, err := h.service.Send(c.Context(), c.Scope, id, in)
	if err != nil {
		return err
	}
	return answerOrdered(c, done.ID)
}
