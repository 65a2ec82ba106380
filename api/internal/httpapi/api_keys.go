package httpapi

import (
	"net/http"
	"time"

	"github.com/groundwork-saas/groundwork/domain/apikeys"
)

// createdKey is a key with its token, which is shown this once.
type createdKey struct {
	apikeys.Key

	Token string `json:"key"`
}

type rotateInput struct {
	// Overlap is for how many seconds the old key stays good.
	Overlap int64 `json:"overlap" validate:"min=0"`
}

// within is the overlap. What is past the bound stays past it, and what is negative stays so: neither wraps round.
func (in rotateInput) within(most time.Duration) time.Duration {
	return time.Duration(max(-1, min(in.Overlap, int64(2*most/time.Second)))) * time.Second
}

func apiKeyRoutes(service *apikeys.Service) []Route {
	h := apiKeyHandler{service: service}
	const root, one, read, write = "/api-keys", "/api-keys/:id", "api_keys:read", "api_keys:write"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Summary: "List API keys, without their secrets", Answer: apikeys.Key{}, IsList: true,
			Handle: withPage("api-keys", service.List, itself),
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated, Secret: true,
			Summary: "Make an API key; its token is shown this once", Body: apikeys.Input{}, Answer: createdKey{}, Versioned: true, Handle: h.create,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Summary: "Read an API key", Answer: apikeys.Key{}, Versioned: true,
			Handle: withID(service.Find, answerKeyUnlessKnown),
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Rename an API key", Body: apikeys.Label{}, Patch: true, Answer: apikeys.Key{}, Versioned: true,
			Handle: withPatch(service.Change, answerKey),
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Revoke an API key, at once", Handle: withMatch(service.Revoke),
		},
		{
			Method: http.MethodPost, Path: one + "/rotate", Access: Tenant, Permission: write, Status: http.StatusCreated, Secret: true,
			Summary: "Make an API key's successor; the old one ends after the overlap", Body: rotateInput{}, Answer: createdKey{}, Versioned: true,
			Handle: h.rotate,
		},
	}
}

type apiKeyHandler struct{ service *apikeys.Service }

func (h apiKeyHandler) create(c *Call) error {
	var in apikeys.Input
	if err := c.Decode(&in); err != nil {
		return err
	}
	key, token, err := h.service.Create(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	return answerMadeKey(c, key, token)
}

func (h apiKeyHandler) rotate(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	var in rotateInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	key, token, err := h.service.Rotate(c.Context(), c.Scope, id, in.within(apikeys.MaxOverlap))
	if err != nil {
		return err
	}
	return answerMadeKey(c, key, token)
}

func answerMadeKey(c *Call, key apikeys.Key, token string) error {
	return c.answerMade("/api-keys", key.ID, key.Version, createdKey{Key: key, Token: token})
}

func answerKeyUnlessKnown(c *Call, key apikeys.Key) error {
	return c.answerUnlessKnown(key.Version, key)
}

func answerKey(c *Call, key apikeys.Key) error { return c.answerRecord(key.Version, key) }
