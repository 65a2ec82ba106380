package httpapi

import (
	"context"
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/jobs"
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

func webhookEndpointRoutes(service *webhooks.Service) []Route {
	h := webhookEndpointHandler{service: service}
	const root, one, read, write = "/webhook-endpoints", "/webhook-endpoints/:id", members.WebhooksRead, members.WebhooksWrite
	act := func(path, summary string, do func(context.Context, tenancy.Scope, tenancy.ID) (webhooks.Endpoint, error)) Route {
		return Route{
			Method: http.MethodPost, Path: one + path, Access: Tenant, Permission: write, Status: http.StatusOK, Summary: summary,
			Answer: webhooks.Endpoint{}, Versioned: true, Handle: withID(do, answerEndpoint),
		}
	}
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Summary: "List webhook endpoints, without their secrets", Answer: webhooks.Endpoint{}, IsList: true,
			Handle: withPage("webhook-endpoints", service.List, itself),
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated, Secret: true,
			Summary: "Make a webhook endpoint; its secret is shown this once", Body: webhooks.Input{}, Answer: createdEndpoint{}, Versioned: true,
			Handle: h.create,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Summary: "Read a webhook endpoint", Answer: webhooks.Endpoint{}, Versioned: true,
			Handle: withID(service.Find, answerEndpoint),
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Change a webhook endpoint", Body: webhooks.Settings{}, Patch: true, Answer: webhooks.Endpoint{}, Versioned: true,
			Handle: withPatch(service.Change, answerEndpoint),
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Delete a webhook endpoint; what waits for it is cancelled", Handle: withMatch(service.Delete),
		},
		{
			Method: http.MethodPost, Path: one + "/rotate-secret", Access: Tenant, Permission: write, Status: http.StatusOK, Secret: true,
			Summary: "Give a webhook endpoint a new secret; the old one signs too for the overlap", Body: webhooks.Rotation{},
			Answer: createdEndpoint{}, Versioned: true, Handle: h.rotate,
		},
		act("/pause", "Hold what a webhook endpoint would be sent", service.Pause),
		act("/resume", "Send a webhook endpoint what was held, or enable one that was disabled", service.Resume),
		{
			Method: http.MethodPost, Path: one + "/test", Access: Tenant, Permission: write, Status: http.StatusAccepted,
			Summary: "Send a webhook endpoint a test message", Answer: webhooks.Delivery{},
			Handle: withID(service.SendTest, answerDelivery),
		},
		{
			Method: http.MethodPost, Path: one + "/replay", Access: Tenant, Permission: write, Status: http.StatusAccepted,
			Summary: "Send a webhook endpoint the events of a time again, by a job", Body: webhooks.ReplayInput{}, Answer: replayStarted{},
			Handle: withIDAndBody(service.Replay, answerReplay),
		},
	}
}

type webhookEndpointHandler struct{ service *webhooks.Service }

func (h webhookEndpointHandler) create(c *Call) error {
	var in webhooks.Input
	if err := c.Decode(&in); err != nil {
		return err
	}
	e, secret, err := h.service.Create(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	return c.answerMade("/webhook-endpoints", e.ID, e.Version, createdEndpoint{Endpoint: e, Secret: secret.Reveal()})
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
	return c.answerRecord(e.Version, createdEndpoint{Endpoint: e, Secret: secret.Reveal()})
}

// answerEndpoint never answers 304: the health moves without the version.
func answerEndpoint(c *Call, e webhooks.Endpoint) error { return c.answerRecord(e.Version, e) }

func answerReplay(c *Call, job jobs.Enqueued) error {
	return answerAccepted(c, job.ID, replayStarted{JobID: job.ID})
}
