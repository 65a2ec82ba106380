package httpapi

import (
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/page"
)

// inboundEventDetail is an event as it is read by its id.
type inboundEventDetail struct {
	inbound.Event

	Headers      map[string][]string `json:"headers" doc:"The headers that are kept, by their names in lower case; credentials never are."`
	Body         string              `json:"body" doc:"The raw body. That of a quarantined event ends after 4 KiB."`
	BodyEncoding string              `json:"body_encoding" example:"text" doc:"How body is written: text, or base64 where it is no text."`
}

func inboundEventRoutes(service *inbound.Events) []Route {
	h := inboundEventHandler{service: service}
	const root, one = "/inbound-events", "/inbound-events/:id"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.WebhooksRead, Status: http.StatusOK,
			Params:  pageParameters("source_id", "state", "type", "from", "to"),
			Summary: "List what webhook sources received, the newest first", Answer: inbound.Event{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.WebhooksRead, Status: http.StatusOK,
			Summary: "Read an inbound event with its headers and its raw body", Answer: inboundEventDetail{},
			Handle: withID(service.Find, answerInboundEvent),
		},
		{
			Method: http.MethodPost, Path: one + "/replay", Access: Tenant, Permission: members.WebhooksWrite, Status: http.StatusAccepted,
			Summary: "Have an inbound event processed again", Answer: inbound.Event{},
			Handle: withID(service.Replay, answerReplayedEvent),
		},
		{
			Method: http.MethodPost, Path: root + "/replay", Access: Tenant, Permission: members.WebhooksWrite, Status: http.StatusAccepted,
			Summary: "Have the inbound events of a time processed again", Body: inbound.ReplayInput{}, Answer: inbound.Replayed{},
			Handle: withBody(service.ReplayRange, answerReplayedRange),
		},
	}
}

type inboundEventHandler struct{ service *inbound.Events }

const maxInboundType = 200

func (h inboundEventHandler) list(c *Call) error {
	q := c.filteredList("inbound-events")
	query := inbound.Query{SourceID: q.id("source_id"), States: statesOf(q, inbound.States()), Type: q.Get("type")}
	if q.Has("type") && (query.Type == "" || len(query.Type) > maxInboundType || strings.ContainsRune(query.Type, 0) || !utf8.ValidString(query.Type)) {
		q.refuse("type", "value", "is no type: it has 1 to 200 bytes, such as invoice.paid, or invoice.* for several")
	}
	query.From, query.To = q.time("from"), q.time("to")
	return answerList(q, func(request page.Request) (page.Page[inbound.Event], error) {
		query.Request = request
		return h.service.List(c.Context(), c.Scope, query)
	}, itself)
}

func answerInboundEvent(c *Call, e inbound.Event) error {
	detail := inboundEventDetail{Event: e, Headers: e.Headers, Body: string(e.Body), BodyEncoding: "text"}
	if !utf8.Valid(e.Body) {
		detail.Body, detail.BodyEncoding = base64.StdEncoding.EncodeToString(e.Body), "base64"
	}
	return c.Answer(http.StatusOK, detail)
}

func answerReplayedEvent(c *Call, e inbound.Event) error {
	c.SetHeader("Location", Base+"/inbound-events/"+e.ID.String())
	return c.Answer(http.StatusAccepted, e)
}

func answerReplayedRange(c *Call, replayed inbound.Replayed) error {
	if replayed.JobID != nil {
		return answerAccepted(c, *replayed.JobID, replayed)
	}
	return c.Answer(http.StatusAccepted, replayed)
}
