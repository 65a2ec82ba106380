package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// syncStarted is a sync that a job makes.
type syncStarted struct {
	JobID   tenancy.ID `json:"job_id" doc:"The job at /jobs/{id}, which tells how far it is and what came of it."`
	Existed bool       `json:"existed" doc:"Whether a sync waited or ran already: it is that one, and does what is asked for now as well."`
}

func connectorRoutes(service *connectors.Service, cs cursors) []Route {
	h := connectorHandler{service: service, cursors: cs}
	const root, one, read, write = "/connectors", "/connectors/:id", members.ConnectorsRead, members.ConnectorsWrite
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Summary: "List connectors, without their credentials", Answer: connectors.Connector{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated,
			Summary: "Make a connector, which keeps records in step with another program's", Body: connectors.Input{},
			Answer: connectors.Connector{}, Versioned: true, Handle: h.create,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Summary: "Read a connector, and how its syncs went", Answer: connectors.Connector{}, Versioned: true, Handle: h.find,
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Change a connector; a sync that is under way begins again", Body: connectors.Settings{}, Patch: true,
			Answer: connectors.Connector{}, Versioned: true, Handle: h.change,
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Delete a connector; the records that it brought in stay", Handle: h.delete,
		},
		{
			Method: http.MethodPost, Path: one + "/sync", Access: Tenant, Permission: write, Status: http.StatusAccepted,
			Summary: "Have a connector synced now, by a job", Body: connectors.SyncInput{}, Answer: syncStarted{}, Handle: h.sync,
		},
	}
}

type connectorHandler struct {
	service *connectors.Service
	cursors cursors
}

func (h connectorHandler) list(c *Call) error {
	request, sealed, err := pageParams(c.Query())
	if err != nil {
		return err
	}
	if err := h.cursors.open(c.Scope, "connectors", sealed, &request); err != nil {
		return err
	}
	p, err := h.service.List(c.Context(), c.Scope, request)
	if err != nil {
		return err
	}
	return answerPage(c, h.cursors, "connectors", p, func(v connectors.Connector) connectors.Connector { return v })
}

func (h connectorHandler) create(c *Call) error {
	var in connectors.Input
	if err := c.Decode(&in); err != nil {
		return err
	}
	made, err := h.service.Create(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	c.SetHeader("Location", Base+"/connectors/"+made.ID.String())
	c.SetETag(made.Version)
	return c.Answer(http.StatusCreated, made)
}

func (h connectorHandler) find(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	found, err := h.service.Find(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	// How syncs went moves without the version: a copy that is known may be old.
	c.SetETag(found.Version)
	return c.Answer(http.StatusOK, found)
}

func (h connectorHandler) change(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	changed, err := h.service.Change(c.Context(), c.Scope, id, match, func(s *connectors.Settings) error { return c.Merge(s) })
	if err != nil {
		return err
	}
	c.SetETag(changed.Version)
	return c.Answer(http.StatusOK, changed)
}

func (h connectorHandler) delete(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	if err := h.service.Delete(c.Context(), c.Scope, id, match); err != nil {
		return err
	}
	return c.NoContent()
}

func (h connectorHandler) sync(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	var in connectors.SyncInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	done, err := h.service.Sync(c.Context(), c.Scope, id, in)
	if err != nil {
		return err
	}
	return answerAccepted(c, done.ID, syncStarted{JobID: done.ID, Existed: done.Existed})
}
