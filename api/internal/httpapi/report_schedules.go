package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/reports"
)

func reportScheduleRoutes(r Reports) []Route {
	const root, one, read, write = "/report-schedules", "/report-schedules/:id", members.ReportsRead, members.ReportsWrite
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Summary: "List when reports are made, and who is sent them", Answer: reports.Schedule{}, IsList: true,
			Handle: withPage("report-schedules", r.Schedules.List, itself),
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated,
			Summary: "Make a report schedule", Body: reports.Input{}, Answer: reports.Schedule{}, Versioned: true,
			Handle: withBody(r.Schedules.Create, answerMadeSchedule),
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Summary: "Read a report schedule", Answer: reports.Schedule{}, Versioned: true,
			Handle: withID(r.Schedules.Find, answerScheduleUnlessKnown),
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Change a report schedule; a night that is planned keeps its time", Body: reports.Settings{}, Patch: true,
			Answer: reports.Schedule{}, Versioned: true, Handle: withPatch(r.Schedules.Change, answerSchedule),
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Delete a report schedule; the reports stay", Handle: withMatch(r.Schedules.Delete),
		},
		{
			Method: http.MethodPost, Path: one + "/send", Access: Tenant, Permission: write, Status: http.StatusAccepted,
			Summary: "Make the report of a day now and send it to a schedule's subscribers, by a job", Body: reports.Send{},
			Answer: reportOrdered{}, Handle: withIDAndBody(r.Service.Send, answerOrdered),
		},
	}
}

func answerMadeSchedule(c *Call, made reports.Schedule) error {
	return c.answerMade("/report-schedules", made.ID, made.Version, made)
}

func answerScheduleUnlessKnown(c *Call, found reports.Schedule) error {
	return c.answerUnlessKnown(found.Version, found)
}

func answerSchedule(c *Call, changed reports.Schedule) error {
	return c.answerRecord(changed.Version, changed)
}
