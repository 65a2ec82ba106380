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

func apiKeyRoutes(service *apikeys.Service, cs cursors) []Route {
	h := apiKeyHandler{service: service, cursors: cs}
	const root, one, read, write = "/api-keys", "/api-keys/:id", "api_keys:read", "api_keys:write"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, Params: pageParameters(),
			Summary: "List API keys, without their secrets", Answer: apikeys.Key{}, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated, Secret: true,
			Summary: "Make an API key; its token is shown this once", Body: apikeys.Input{}, Answer: createdKey{}, Versioned: true, Handle: h.create,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Summary: "Read an API key", Answer: apikeys.Key{}, Versioned: true, Handle: h.find,
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Rename an API key", Body: apikeys.Label{}, Patch: true, Answer: apikeys.Key{}, Versioned: true, Handle: h.change,
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: write, Status: http.StatusNoContent,
			Summary: "Revoke an API key, at once", Handle: h.revoke,
		},
		{
			Method: http.MethodPost, Path: one + "/rotate", Access: Tenant, Permission: write, Status: http.StatusCreated, Secret: true,
			Summary: "Make an API key's successor; the old one ends after the overlap", Body: rotateInput{}, Answer: createdKey{}, Versioned: true,
			Handle: h.rotate,
		},
	}
}

type apiKeyHandler struct {
	service *apikeys.Service
	cursors cursors
}

func (h apiKeyHandler) list(c *Call) error {
	request, sealed, err := pageParams(c.Query())
	if err != nil {
		return err
	}
	if err := h.cursors.open(c.Scope, "api-keys", sealed, &request); err != nil {
		return err
	}
	p, err := h.service.List(c.Context(), c.Scope, request)
	if err != nil {
		return err
	}
	return answerPage(c, h.cursors, "api-keys", p, func(k apikeys.Key) apikeys.Key { return k })
}

func (h apiKeyHandler) create(c *Call) error {
	var in apikeys.Input
	if err := c.Decode(&in); err != nil {
		return err
	}
	key, token, err := h.service.Create(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	return answerKey(c, key, token)
}

func (h apiKeyHandler) find(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	key, err := h.service.Find(c.Context(), c.Scope, id)
	if err != nil {
		return err
	}
	c.SetETag(key.Version)
	if c.NotModified(key.Version) {
		return nil
	}
	return c.Answer(http.StatusOK, key)
}

func (h apiKeyHandler) change(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	key, err := h.service.Change(c.Context(), c.Scope, id, match, func(l *apikeys.Label) error { return c.Merge(l) })
	if err != nil {
		return err
	}
	c.SetETag(key.Version)
	return c.Answer(http.StatusOK, key)
}

func (h apiKeyHandler) revoke(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	if err := h.service.Revoke(c.Context(), c.Scope, id, match); err != nil {
		return err
	}
	return c.NoContent()
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
	// What is past any bound stays past it, and does not wrap round.
	overlap := time.Duration(min(in.Overlap, int64(2*apikeys.MaxOverlap/time.Second))) * time.Second
	key, token, err := h.service.Rotate(c.Context(), c.Scope, id, max(overlap, -time.Second))
	if err != nil {
		return err
	}
	return answerKey(c, key, token)
}

func answerKey(c *Call, key apikeys.Key, token string) error {
	c.SetHeader("Location", Base+"/api-keys/"+key.ID.String())
	c.SetETag(key.Version)
	return c.Answer(http.StatusCreated, createdKey{Key: key, Token: token})
}
