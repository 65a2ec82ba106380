package httpapi

import (
	"net/http"
	"net/url"
	"time"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

func auditRoutes(service *audit.Service, cs cursors) []Route {
	h := auditHandler{service: service, cursors: cs}
	return []Route{{
		Method: http.MethodGet, Path: "/audit-events", Access: Tenant, Permission: "audit:read", Status: 200,
		Params:  pageParameters("action", "resource", "resource_id", "actor_id", "from", "to"),
		Summary: "List who did what", Answer: audit.Entry{}, IsList: true, Handle: h.list,
	}}
}

type auditHandler struct {
	service *audit.Service
	cursors cursors
}

func (h auditHandler) list(c *Call) error {
	params := url.Values(c.Query())
	request, sealed, err := pageParams(params)
	if err != nil {
		return err
	}
	query := audit.Query{Action: params.Get("action"), Resource: params.Get("resource")}
	if query.ResourceID, err = idParam(params, "resource_id"); err != nil {
		return err
	}
	if query.ActorID, err = idParam(params, "actor_id"); err != nil {
		return err
	}
	if query.From, err = timeParam(params, "from"); err != nil {
		return err
	}
	if query.To, err = timeParam(params, "to"); err != nil {
		return err
	}
	name := filtered("audit-events", params)
	if err := h.cursors.open(c.Scope, name, sealed, &request); err != nil {
		return err
	}
	query.Request = request
	p, err := h.service.List(c.Context(), c.Scope, query)
	if err != nil {
		return err
	}
	return answerPage(c, h.cursors, name, p, func(e audit.Entry) audit.Entry { return e })
}

func idParam(params url.Values, name string) (tenancy.ID, error) {
	if !params.Has(name) {
		return tenancy.ID{}, nil
	}
	id, err := tenancy.ParseID(params.Get(name))
	if err != nil {
		return tenancy.ID{}, badParameter(name, "uuid", "is not a UUID")
	}
	return id, nil
}

func timeParam(params url.Values, name string) (time.Time, error) {
	if !params.Has(name) {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, params.Get(name))
	if err != nil {
		return time.Time{}, badParameter(name, "time", "is not an RFC 3339 time; write it as 2006-01-02T15:04:05Z")
	}
	return t.UTC(), nil
}
