package httpapi

import (
	"net/http"
	"time"

	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/users"
)

// meView is the user who asks, and what they may do in the organization of their session.
type meView struct {
	userView

	Version     int64      `json:"version"`
	UpdatedAt   time.Time  `json:"updated_at"`
	Tenant      tenantView `json:"tenant"`
	Permissions []string   `json:"permissions"`
}

// sessionView is one sign-in of the user's.
type sessionView struct {
	ID tenancy.ID `json:"id"`
	// Current is true for the session that asks.
	Current    bool       `json:"current"`
	TenantID   tenancy.ID `json:"tenant_id"`
	TenantName string     `json:"tenant_name"`
	UserAgent  string     `json:"user_agent"`
	Address    string     `json:"address"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt time.Time  `json:"last_used_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
}

// belongingView is an organization of the user's.
type belongingView struct {
	tenantView

	JoinedAt time.Time `json:"joined_at"`
}

func meRoutes(identity Identity) []Route {
	h := meHandler{identity}
	return []Route{
		{
			Method: http.MethodGet, Path: "/me", Access: Signed, Status: http.StatusOK,
			Summary: "Read who you are and what you may do", Answer: meView{}, Handle: h.find,
		},
		{
			Method: http.MethodPatch, Path: "/me", Access: Signed, Status: http.StatusOK,
			Summary: "Change your name", Body: users.Profile{}, Patch: true, Answer: meView{}, Handle: h.change,
		},
		{
			Method: http.MethodPost, Path: "/me/password", Access: Signed, Status: http.StatusNoContent,
			Summary: "Change your password; your other sessions end", Body: users.PasswordChange{}, Handle: h.changePassword,
		},
		{
			Method: http.MethodGet, Path: "/me/sessions", Access: Signed, Status: http.StatusOK,
			Summary: "List your sessions", Answer: sessionView{}, IsList: true, Handle: h.sessions,
		},
		{
			Method: http.MethodDelete, Path: "/me/sessions", Access: Signed, Status: http.StatusNoContent,
			Summary: "End all of your sessions but this one", Handle: h.revokeOthers,
		},
		{
			Method: http.MethodDelete, Path: "/me/sessions/:id", Access: Signed, Status: http.StatusNoContent,
			Summary: "End one of your sessions", Handle: withIDAlone(identity.Sessions.Revoke),
		},
		{
			Method: http.MethodGet, Path: "/me/tenants", Access: Signed, Status: http.StatusOK,
			Summary: "List your organizations", Answer: belongingView{}, IsList: true, Handle: h.tenants,
		},
	}
}

type meHandler struct{ Identity }

func (h meHandler) find(c *Call) error {
	access, err := h.Sessions.Current(c.Context(), c.Scope)
	if err != nil {
		return err
	}
	return h.answer(c, access)
}

func (h meHandler) change(c *Call) error {
	match, err := c.Match()
	if err != nil {
		return err
	}
	if _, err := h.Users.Change(c.Context(), c.Scope, match, func(p *users.Profile) error { return c.Merge(p) }); err != nil {
		return err
	}
	return h.find(c)
}

// answer has no ETag: the user, the membership and the tenant all shape it. If-Match takes the user's version.
func (h meHandler) answer(c *Call, a sessions.Access) error {
	permissions := h.Roles.Permissions(a.Role)
	return c.Answer(http.StatusOK, meView{
		userView: viewUser(a.User), Version: a.User.Version, UpdatedAt: a.User.UpdatedAt,
		Tenant: viewTenant(a.Tenant, a.Role), Permissions: permissions,
	})
}

func (h meHandler) changePassword(c *Call) error {
	var in users.PasswordChange
	if err := c.Decode(&in); err != nil {
		return err
	}
	if err := throttle(c, h.Account, c.Scope.Actor.ID.String()); err != nil {
		return err
	}
	if err := h.Users.ChangePassword(c.Context(), c.Scope, in); err != nil {
		return err
	}
	return c.NoContent()
}

func (h meHandler) sessions(c *Call) error {
	found, err := h.Sessions.List(c.Context(), c.Scope)
	if err != nil {
		return err
	}
	return answerAll(c, found, func(s sessions.Session) sessionView {
		return sessionView{
			ID: s.ID, Current: s.ID == c.Scope.Actor.Session, TenantID: s.TenantID, TenantName: s.TenantName,
			UserAgent: s.UserAgent, Address: s.Address,
			CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, ExpiresAt: s.ExpiresAt,
		}
	})
}

func (h meHandler) revokeOthers(c *Call) error {
	if _, err := h.Sessions.RevokeOthers(c.Context(), c.Scope); err != nil {
		return err
	}
	return c.NoContent()
}

func (h meHandler) tenants(c *Call) error {
	found, err := h.Sessions.Tenants(c.Context(), c.Scope)
	if err != nil {
		return err
	}
	return answerAll(c, found, func(b sessions.Belonging) belongingView {
		return belongingView{tenantView: viewTenant(b.Tenant, b.Role), JoinedAt: b.JoinedAt}
	})
}

// answerAll renders a list that is short by nature as one page.
func answerAll[T, R any](c *Call, items []T, render func(T) R) error {
	out := list[R]{Data: make([]R, len(items))}
	for i, item := range items {
		out.Data[i] = render(item)
	}
	return c.Answer(http.StatusOK, out)
}
