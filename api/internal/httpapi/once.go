package httpapi

import (
	"context"
	"crypto/sha256"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/idempotency"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// kept are the headers of an answer that a repeat shows again.
//
//nolint:gochecknoglobals // a list
var kept = []string{"Location", "Etag"}

// once runs the handler so that its effect happens once for the key, however often the request comes.
func (a *API) once(c *Call, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	data, err := c.rawBody()
	if err != nil {
		return err
	}
	_, err = a.onceFor(c, key, string(data), func() error { return c.Route.Handle(c) })
	return err
}

func checkKey(key string) error {
	if len(key) > idempotency.MaxKeyLength || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return &fault.Error{
			Kind: fault.Malformed, Code: "invalid_idempotency_key", Detail: "The Idempotency-Key is not taken.",
			Violations: []fault.Violation{{
				Pointer: "Idempotency-Key", Code: "max", Detail: "must be at most 255 printable ASCII characters; a UUID is a good one",
			}},
		}
	}
	return nil
}

// onceFor runs act, which sets the answer, so that its effect happens once for the key; of a repeat with the same
// content the kept answer is set instead. A streaming route calls it when its body has been received, and tells by a
// digest of that what the content is.
func (a *API) onceFor(c *Call, key, content string, act func() error) (replayed bool, err error) {
	scope := c.Scope
	principal := string(scope.Actor.Kind) + scope.Actor.ID.String()
	if c.Route.Access == Public {
		scope, principal = c.Scope.AsSystem(tenancy.SystemTenant), "anonymous"
	}
	request := idempotency.Request{
		Digest:  digest(principal, c.gin.Request.Method, c.gin.Request.URL.Path, key),
		Content: digest(c.gin.Request.URL.RawQuery, content),
		IsOpen:  c.Route.Access != Tenant,
	}
	ctx := c.ctx
	answer, replayed, err := a.deps.Idempotency.Once(ctx, scope, request, a.deps.Now(), func(ctx context.Context) (idempotency.Answer, error) {
		c.ctx = ctx
		if err := act(); err != nil {
			return idempotency.Answer{}, err
		}
		return c.keep(), nil
	})
	c.ctx = ctx
	if err == nil && replayed {
		c.replay(answer)
	}
	return replayed, err
}

func (c *Call) keep() idempotency.Answer {
	answer := idempotency.Answer{Status: c.answer.status, Header: map[string]string{}, IsSecret: c.Route.Secret}
	for _, name := range kept {
		if value := c.answer.header.Get(name); value != "" {
			answer.Header[name] = value
		}
	}
	if !answer.IsSecret {
		answer.Body = c.answer.body
	}
	return answer
}

func (c *Call) replay(answer idempotency.Answer) {
	c.answer.status, c.answer.body = answer.Status, answer.Body
	for name, value := range answer.Header {
		c.SetHeader(name, value)
	}
	c.SetHeader("Idempotency-Replayed", "true")
}

// digest hashes parts so that no two lists of parts give the same bytes.
func digest(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return h.Sum(nil)
}
