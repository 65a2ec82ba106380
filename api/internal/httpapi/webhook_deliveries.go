package httpapi

import (
	"net/http"
	"net/url"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// deliveryWithAttempts is a delivery and how each of its attempts went.
type deliveryWithAttempts struct {
	webhooks.Delivery

	History []webhooks.Attempt `json:"history" doc:"The attempts, the newest first, at most 100."`
}

func webhookDeliveryRoutes(service *webhooks.Service, cs cursors) []Route {
	h := webhookDeliveryHandler{service: service, cursors: cs}
	const root, one = "/webhook-deliveries", "/webhook-deliveries/:id"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.WebhooksRead, Status: http.StatusOK,
			Params:  pageParameters("endpoint_id", "state", "type", "event_id", "from", "to"),
			Summary: "List webhook deliveries, newest first", Answer: webhooks.Delivery{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.WebhooksRead, Status: http.StatusOK,
			Summary: "Read a webhook delivery with its attempts", Answer: deliveryWithAttempts{}, Handle: h.find,
		},
		{
			Method: http.MethodPost, Path: one + "/redeliver", Access: Tenant, Permission: members.WebhooksWrite, Status: http.StatusAccepted,
			Summary: "Send a webhook delivery again, at once", Answer: webhooks.Delivery{}, Handle: h.redeliver,
		},
	}
}

type webhookDeliveryHandler struct {
	service *webhooks.Service
	cursors cursors
}

func (h webhookDeliveryHandler) list(c *Call) error {
	params := url.Values(c.Query())
	request, sealed, err := pageParams(params)
	if err != nil {
		return err
	}
	query := webhooks.Query{Type: params.Get("type")}
	if query.EndpointID, err = idParam(params, "endpoint_id"); err != nil {
		return err
	}
	if query.EventID, err = idParam(params, "event_id"); err != nil {
		return err
	}
	if query.From, err = timeParam(params, "from"); err != nil {
		return err
	}
	if query.To, err = timeParam(params, "to"); err != nil {
		return err
	}
	if params.Has("state") {
		if query.States, err = webhooks.ParseStates(params.Get("state")); err != nil {
			return err
		}
	}
	if err := h.service.CheckType(query.Type); err != nil {
		return err
	}
	name := filtered("webhook-deliveries", params)
	if err := h.cursors.open(c.Scope, name, sealed, &request); err != nil {
		return err
	}
	query.Request = request
	p, err := h.service.ListDeliveries(c.Context(), c.Scope, query)
	if err != nil {
		return err
	}
	return answerPage(c, h.cursors, name, p, func(d webhooks.Delivery) webhooks.Delivery { return d })
}

func (h webhookDeliveryHandler) find(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	d, attempts, err := h.service.FindDelivery(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	if attempts == nil {
		attempts = []webhooks.Attempt{}
	}
	return c.Answer(http.StatusOK, deliveryWithAttempts{Delivery: d, History: attempts})
}

func (h webhookDeliveryHandler) redeliver(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	d, err := h.service.Redeliver(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	c.SetHeader("Location", Base+"/webhook-deliveries/"+d.ID.String())
	return c.Answer(http.StatusAccepted, d)
}

func deliveryStates() []string {
	states := make([]string, 0, len(webhooks.DeliveryStates()))
	for _, state := range webhooks.DeliveryStates() {
		states = append(states, string(state))
	}
	return states
}
