package httpapi

import (
	"context"
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// sourceView is a source with its address.
type sourceView struct {
	inbound.Source

	URL *string `json:"url" example:"https://hooks.example.com/hooks/gw_in_7Hq0Zr2kQm" doc:"Where its provider posts to. It is shown to those who may change the source; others see null."`
}

func webhookSourceRoutes(service *inbound.Sources) []Route {
	h := sourceHandler{service: service}
	const root, one, read, write = "/webhook-sources", "/webhook-sources/:id", members.WebhooksRead, members.WebhooksWrite
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Secret: true, Summary: "List webhook sources, without their secrets", Answer: sourceView{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated, Secret: true,
			Summary: "Make a webhook source: an address that a provider may post to", Body: inbound.SourceInput{}, Answer: sourceView{},
			Versioned: true, Handle: withBody(service.Create, h.viewed(answerMadeSource)),
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK, Secret: true,
			Summary: "Read a webhook source", Answer: sourceView{}, Versioned: true,
			Handle: withID(service.Find, h.viewed(answerSourceUnlessKnown)),
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK, Secret: true,
			Summary: "Change a webhook source: its filter, its secrets, or whether it is paused", Body: inbound.SourceChange{}, Patch: true,
			Answer: sourceView{}, Versioned: true, Handle: withPatch(service.Change, h.viewed(answerSource)),
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Delete a webhook source, at once; what it received stays for a while", Handle: withMatch(service.Delete),
		},
		{
			Method: http.MethodPost, Path: one + "/rotate-url", Access: Tenant, Permission: write, Status: http.StatusOK, Secret: true,
			Summary: "Give a webhook source another address; the old one ends after the overlap", Body: rotateInput{}, Answer: sourceView{},
			Versioned: true, Handle: withIDAndBody(h.rotate, h.viewed(answerSource)),
		},
	}
}

type sourceHandler struct{ service *inbound.Sources }

func (h sourceHandler) list(c *Call) error {
	return answerList(c.list("webhook-sources"), func(request page.Request) (views page.Page[sourceView], err error) {
		p, err := h.service.List(c.Context(), c.Scope, request)
		if err != nil {
			return views, err
		}
		views = page.Page[sourceView]{Items: make([]sourceView, len(p.Items)), Next: p.Next, Prev: p.Prev}
		for i, source := range p.Items {
			if views.Items[i], err = h.view(c.Scope, source); err != nil {
				return views, err
			}
		}
		return views, nil
	}, itself)
}

func (h sourceHandler) view(scope tenancy.Scope, source inbound.Source) (sourceView, error) {
	view := sourceView{Source: source}
	address, err := h.service.Address(scope, source)
	if address != "" {
		view.URL = &address
	}
	return view, err
}

// viewed answers with the view of a source.
func (h sourceHandler) viewed(answer func(*Call, sourceView) error) func(*Call, inbound.Source) error {
	return func(c *Call, source inbound.Source) error {
		view, err := h.view(c.Scope, source)
		if err != nil {
			return err
		}
		return answer(c, view)
	}
}

func answerMadeSource(c *Call, v sourceView) error {
	return c.answerMade("/webhook-sources", v.ID, v.Version, v)
}

func answerSourceUnlessKnown(c *Call, v sourceView) error { return c.answerUnlessKnown(v.Version, v) }

func answerSource(c *Call, v sourceView) error { return c.answerRecord(v.Version, v) }

func (h sourceHandler) rotate(ctx context.Context, scope tenancy.Scope, id tenancy.ID, in rotateInput) (inbound.Source, error) {
	return h.service.Rotate(ctx, scope, id, in.within(inbound.MaxOverlap))
}
