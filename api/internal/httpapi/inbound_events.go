package httpapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/members"
)

// inboundEventDetail is an event as it is read by its id.
type inboundEventDetail struct {
	inbound.Event

	Headers      map[string][]string `json:"headers" doc:"The headers that are kept, by their names in lower case; credentials never are."`
	Body         string              `json:"body" doc:"The raw body. That of a quarantined event ends after 4 KiB."`
	BodyEncoding string              `json:"body_encoding" example:"text" doc:"How body is written: text, or base64 where it is no text."`
}

func inboundEventRoutes(service *inbound.Events, cs cursors) []Route {
	h := inboundEventHandler{service: service, cursors: cs}
	const root, one = "/inbound-events", "/inbound-events/:id"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.WebhooksRead, Status: http.StatusOK,
			Params:  pageParameters("source_id", "state", "type", "from", "to"),
			Summary: "List what webhook sources received, the newest first", Answer: inbound.Event{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.WebhooksRead, Status: http.StatusOK,
			Summary: "Read an inbound event with its headers and its raw body", Answer: inboundEventDetail{}, Handle: h.find,
		},
		{
			Method: http.MethodPost, Path: one + "/replay", Access: Tenant, Permission: members.WebhooksWrite, Status: http.StatusAccepted,
			Summary: "Have an inbound event processed again", Answer: inbound.Event{}, Handle: h.replay,
		},
		{
			Method: http.MethodPost, Path: root + "/replay", Access: Tenant, Permission: members.WebhooksWrite, Status: http.StatusAccepted,
			Summary: "Have the inbound events of a time processed again", Body: inbound.ReplayInput{}, Answer: inbound.Replayed{},
			Handle: h.replayRange,
		},
	}
}

type inboundEventHandler struct {
	service *inbound.Events
	cursors cursors
}

func (h inboundEventHandler) list(c *Call) error {
	params := url.Values(c.Query())
	request, sealed, err := pageParams(params)
	if err != nil {
		return err
	}
	query := inbound.Query{Request: request, Type: params.Get("type")}
	if query.SourceID, err = idParam(params, "source_id"); err != nil {
		return err
	}
	if query.States, err = inboundStates(params); err != nil {
		return err
	}
	if params.Has("type") && (query.Type == "" || len(query.Type) > maxInboundType || strings.ContainsRune(query.Type, 0) || !utf8.ValidString(query.Type)) {
		return badParameter("type", "value", "is no type: it has 1 to 200 bytes, such as invoice.paid, or invoice.* for several")
	}
	if query.From, err = timeParam(params, "from"); err != nil {
		return err
	}
	if query.To, err = timeParam(params, "to"); err != nil {
		return err
	}
	name := filtered("inbound-events", params)
	if err := h.cursors.open(c.Scope, name, sealed, &query.Request); err != nil {
		return err
	}
	p, err := h.service.List(c.Context(), c.Scope, query)
	if err != nil {
		return err
	}
	return answerPage(c, h.cursors, name, p, func(e inbound.Event) inbound.Event { return e })
}

const maxInboundType = 200

// inboundStates reads states separated by commas.
func inboundStates(params url.Values) ([]inbound.State, error) {
	if !params.Has("state") {
		return nil, nil
	}
	var states []inbound.State
	for name := range strings.SplitSeq(strings.Join(params["state"], ","), ",") {
		state := inbound.State(name)
		if !slices.Contains(inbound.States(), state) {
			return nil, badParameter("state", "oneof", "has a value that is no state; the states are: "+strings.Join(inboundStateNames(), ", "))
		}
		if !slices.Contains(states, state) {
			states = append(states, state)
		}
	}
	return states, nil
}

func inboundStateNames() []string {
	var names []string
	for _, state := range inbound.States() {
		names = append(names, string(state))
	}
	return names
}

func (h inboundEventHandler) find(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	e, err := h.service.Find(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	detail := inboundEventDetail{Event: e, Headers: e.Headers, Body: string(e.Body), BodyEncoding: "text"}
	if !utf8.Valid(e.Body) {
		detail.Body, detail.BodyEncoding = base64.StdEncoding.EncodeToString(e.Body), "base64"
	}
	return c.Answer(http.StatusOK, detail)
}

func (h inboundEventHandler) replay(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	e, err := h.service.Replay(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	c.SetHeader("Location", Base+"/inbound-events/"+id.String())
	return c.Answer(http.StatusAccepted, e)
}

func (h inboundEventHandler) replayRange(c *Call) error {
	var in inbound.ReplayInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	replayed, err := h.service.ReplayRange(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	if replayed.JobID != nil {
		c.SetHeader("Location", Base+"/jobs/"+replayed.JobID.String())
	}
	return c.Answer(http.StatusAccepted, replayed)
}
