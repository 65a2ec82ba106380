package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// deliveryWithAttempts is a delivery and how each of its attempts went.
type deliveryWithAttempts struct {
	webhooks.Delivery

	History []webhooks.Attempt `json:"history" doc:"The attempts, the newest first, at most 100."`
}

func webhookDeliveryRoutes(service *webhooks.Service) []Route {
	h := webhookDeliveryHandler{service: service}
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
			Summary: "Send a webhook delivery again, at once", Answer: webhooks.Delivery{},
			Handle: withID(service.Redeliver, answerDelivery),
		},
	}
}

type webhookDeliveryHandler struct{ service *webhooks.Service }

func (h webhookDeliveryHandler) list(c *Call) error {
	q := c.filteredList("webhook-deliveries")
	query := webhooks.Query{
		EndpointID: q.id("endpoint_id"), EventID: q.id("event_id"), From: q.time("from"), To: q.time("to"),
		States: statesOf(q, webhooks.DeliveryStates()), Type: q.Get("type"),
	}
	q.fail(h.service.CheckType(query.Type))
	return answerList(q, func(request page.Request) (page.Page[webhooks.Delivery], error) {
		query.Request = request
		return h.service.ListDeliveries(c.Context(), c.Scope, query)
	}, itself)
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

// answerDelivery answers with a delivery that is to be made.
func answerDelivery(c *Call, d webhooks.Delivery) error {
	c.SetHeader("Location", Base+"/webhook-deliveries/"+d.ID.String())
	return c.Answer(http.StatusAccepted, d)
}
