package sessions

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Credentials tells who shows a bearer token, be it a session's access token or an API key.
type Credentials struct {
	sessions *Service
	keys     *apikeys.Service
}

// NewCredentials returns the credentials that sessions and keys know.
func NewCredentials(sessions *Service, keys *apikeys.Service) *Credentials {
	return &Credentials{sessions: sessions, keys: keys}
}

// Authenticate returns the scope that the token stands for. That its access still stands is proven by whatever the
// scope is used for.
func (c *Credentials) Authenticate(ctx context.Context, token string) (tenancy.Scope, error) {
	if apikeys.Looks(token) {
		return c.keys.Authenticate(ctx, token)
	}
	return c.sessions.Authenticate(ctx, token)
}

// Verify proves in one round trip that the scope's access stands.
func (c *Credentials) Verify(ctx context.Context, scope tenancy.Scope) error {
	return c.sessions.Verify(ctx, scope)
}

// Forget drops what is remembered of a token, so that the next Authenticate looks it up.
func (c *Credentials) Forget(token string) {
	if apikeys.Looks(token) {
		c.keys.Forget(token)
	}
}
