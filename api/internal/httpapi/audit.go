package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/page"
)

func auditRoutes(service *audit.Service) []Route {
	h := auditHandler{service: service}
	return []Route{{
		Method: http.MethodGet, Path: "/audit-events", Access: Tenant, Permission: "audit:read", Status: 200,
		Params:  pageParameters("action", "resource", "resource_id", "actor_id", "from", "to"),
		Summary: "List who did what", Answer: audit.Entry{}, IsList: true, Handle: h.list,
	}}
}

type auditHandler struct{ service *audit.Service }

func (h auditHandler) list(c *Call) error {
	q := c.filteredList("audit-events")
	query := audit.Query{
		Action: q.text("action"), Resource: q.text("resource"), ResourceID: q.id("resource_id"), ActorID: q.id("actor_id"),
		From: q.time("from"), To: q.time("to"),
	}
	return answerList(q, func(request page.Request) (page.Page[audit.Entry], error) {
		query.Request = request
		return h.service.List(c.Context(), c.Scope, query)
	}, itself)
}
