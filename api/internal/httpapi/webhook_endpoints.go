package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// createdEndpoint is an endpoint with its secret, which is shown this once.
type createdEndpoint struct {
	webhooks.Endpoint

	Secret string `json:"secret" doc:"Messages are signed with it; it is shown this once."`
}

// replayStarted is a replay that a job makes.
type replayStarted struct {
	JobID tenancy.ID `json:"job_id"`
}

func webhookEndpointRoutes(service *webhooks.Service, cs cursors) []Route {
	h := webhookEndpointHandler{service: service, cursors: cs}
	const root, one, read, write = "/webhook-endpoints", "/webhook-endpoints/:id", members.WebhooksRead, members.WebhooksWrite
	act := func(path, summary string, handle func(*Call) error) Route {
		return Route{
			Method: http.MethodPost, Path: one + path, Access: Tenant, Permission: write, Status: http.StatusOK, Summary: summary,
			Answer: webhooks.Endpoint{}, Versioned: true, Handle: handle,
		}
	}
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Summary: "List webhook endpoints, without their secrets", Answer: webhooks.Endpoint{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated, Secret: true,
			Summary: "Make a webhook endpoint; its secret is shown this once", Body: webhooks.Input{}, Answer: createdEndpoint{}, Versioned: true,
			Handle: h.create,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Summary: "Read a webhook endpoint", Answer: webhooks.Endpoint{}, Versioned: true, Handle: h.find,
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Change a webhook endpoint", Body: webhooks.Settings{}, Patch: true, Answer: webhooks.Endpoint{}, Versioned: true,
			Handle: h.change,
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Delete a webhook endpoint; what waits for it is cancelled", Handle: h.delete,
		},
		{
			Method: http.MethodPost, Path: one + "/rotate-secret", Access: Tenant, Permission: write, Status: http.StatusOK, Secret: true,
			Summary: "Give a webhook endpoint a new secret; the old one signs too for the overlap", Body: webhooks.Rotation{},
			Answer: createdEndpoint{}, Versioned: true, Handle: h.rotate,
		},
		act("/pause", "Hold what a webhook endpoint would be sent", h.pause),
		act("/resume", "Send a webhook endpoint what was held, or enable one that was disabled", h.resume),
		{
			Method: http.MethodPost, Path: one + "/test", Access: Tenant, Permission: write, Status: http.StatusAccepted,
			Summary: "Send a webhook endpoint a test message", Answer: webhooks.Delivery{}, Handle: h.test,
		},
		{
			Method: http.MethodPost, Path: one + "/replay", Access: Tenant, Permission: write, Status: http.StatusAccepted,
			Summary: "Send a webhook endpoint the events of a time again, by a job", Body: webhooks.ReplayInput{}, Answer: replayStarted{},
			Handle: h.replay,
		},
	}
}

type webhookEndpointHandler struct {
	service *webhooks.Service
	cursors cursors
}

func (h webhookEndpointHandler) list(c *Call) error {
	request, sealed, err := pageParams(c.Query())
	if err != nil {
		return err
	}
	if err := h.cursors.open(c.Scope, "webhook-endpoints", sealed, &request); err != nil {
		return err
	}
	p, err := h.service.List(c.Context(), c.Scope, request)
	if err != nil {
		return err
	}
	return answerPage(c, h.cursors, "webhook-endpoints", p, func(e webhooks.Endpoint) webhooks.Endpoint { return e })
}

func (h webhookEndpointHandler) create(c *Call) error {
	var in webhooks.Input
	if err := c.Decode(&in); err != nil {
		return err
	}
	e, secret, err := h.service.Create(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	c.SetHeader("Location", Base+"/webhook-endpoints/"+e.ID.String())
	c.SetETag(e.Version)
	return c.Answer(http.StatusCreated, createdEndpoint{Endpoint: e, Secret: secret.Reveal()})
}

func (h webhookEndpointHandler) find(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	e, err := h.service.Find(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	// The health moves without the version: a copy that is known may be old.
	c.SetETag(e.Version)
	return c.Answer(http.StatusOK, e)
}

func (h webhookEndpointHandler) change(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	e, err := h.service.Change(c.Context(), c.Scope, id, match, func(s *webhooks.Settings) error { return c.Merge(s) })
	if err != nil {
		return err
	}
	c.SetETag(e.Version)
	return c.Answer(http.StatusOK, e)
}

func (h webhookEndpointHandler) delete(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	if err := h.service.Delete(c.Context(), c.Scope, id, match); err != nil {
		return err
	}
	return c.NoContent()
}

func (h webhookEndpointHandler) rotate(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	var in webhooks.Rotation
	if err := c.Decode(&in); err != nil {
		return err
	}
	e, secret, err := h.service.RotateSecret(c.Context(), c.Scope, id, in)
	if err != nil {
		return err
	}
	c.SetETag(e.Version)
	return c.Answer(http.StatusOK, createdEndpoint{Endpoint: e, Secret: secret.Reveal()})
}

func (h webhookEndpointHandler) pause(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	e, err := h.service.Pause(c.Context(), c.Scope, id)
	return answerEndpoint(c, e, err)
}

func (h webhookEndpointHandler) resume(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	e, err := h.service.Resume(c.Context(), c.Scope, id)
	return answerEndpoint(c, e, err)
}

func answerEndpoint(c *Call, e webhooks.Endpoint, err error) error {
	if err != nil {
		return err
	}
	c.SetETag(e.Version)
	return c.Answer(http.StatusOK, e)
}

func (h webhookEndpointHandler) test(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	d, err := h.service.SendTest(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	c.SetHeader("Location", Base+"/webhook-deliveries/"+d.ID.String())
	return c.Answer(http.StatusAccepted, d)
}

func (h webhookEndpointHandler) replay(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	var in webhooks.ReplayInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	done, err := h.service.Replay(c.Context(), c.Scope, id, in)
	if err != nil {
		return err
	}
	return answerAccepted(c, done.ID, replayStarted{JobID: done.ID})
}
