package httpapi

import (
	"net/http"
	"time"

	"github.com/ulule/limiter/v3"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
)

// grantView is what somebody gets who came in.
type grantView struct {
	User         userView   `json:"user"`
	Tenant       tenantView `json:"tenant"`
	AccessToken  string     `json:"access_token"`
	TokenType    string     `json:"token_type"`
	ExpiresIn    int        `json:"expires_in"`
	RefreshToken string     `json:"refresh_token"`
}

type userView struct {
	ID            tenancy.ID `json:"id"`
	Email         string     `json:"email"`
	Name          string     `json:"name"`
	EmailVerified bool       `json:"email_verified"`
	CreatedAt     time.Time  `json:"created_at"`
}

// tenantView is an organization and, where somebody asks as its member, their role in it.
type tenantView struct {
	ID        tenancy.ID    `json:"id"`
	Name      string        `json:"name" example:"Northwind Traders"`
	State     tenants.State `json:"state"`
	TimeZone  string        `json:"time_zone"`
	Role      string        `json:"role,omitempty" example:"owner"`
	Version   int64         `json:"version"`
	CreatedAt time.Time     `json:"created_at"`
	UpdatedAt time.Time     `json:"updated_at"`
}

func viewUser(u users.User) userView {
	return userView{ID: u.ID, Email: u.Email, Name: u.Name, EmailVerified: u.IsEmailVerified(), CreatedAt: u.CreatedAt}
}

func viewTenant(t tenants.Tenant, role string) tenantView {
	return tenantView{
		ID: t.ID, Name: t.Name, State: t.State, TimeZone: t.TimeZone, Role: role,
		Version: t.Version, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
}

type refreshInput struct {
	RefreshToken string `json:"refresh_token" validate:"required,max=200"`
}

type switchInput struct {
	TenantID tenancy.ID `json:"tenant_id" validate:"required"`
}

func authRoutes(identity Identity) []Route {
	h := authHandler{identity}
	grant := grantView{}
	return []Route{
		{
			Method: http.MethodPost, Path: "/auth/signup", Status: http.StatusCreated, Secret: true,
			Summary: "Sign up: a user and their organization", Body: sessions.SignUp{}, Answer: grant, Handle: h.signUp,
		},
		{
			Method: http.MethodPost, Path: "/auth/login", Status: http.StatusOK, Secret: true,
			Summary: "Sign in", Body: sessions.Login{}, Answer: grant, Handle: h.login,
		},
		{
			Method: http.MethodPost, Path: "/auth/refresh", Status: http.StatusOK, Secret: true, Alone: true,
			Summary: "Exchange a refresh token for the next pair of tokens", Body: refreshInput{}, Answer: grant, Handle: h.refresh,
		},
		{
			Method: http.MethodPost, Path: "/auth/logout", Access: Signed, Status: http.StatusNoContent, Alone: true,
			Summary: "End this session", Handle: h.logout,
		},
		{
			Method: http.MethodPost, Path: "/auth/logout/all", Access: Signed, Status: http.StatusNoContent, Alone: true,
			Summary: "End all of your sessions, this one too", Handle: h.logoutEverywhere,
		},
		{
			Method: http.MethodPost, Path: "/auth/switch", Access: Signed, Status: http.StatusOK, Secret: true,
			Summary: "Open a session in another organization of yours", Body: switchInput{}, Answer: grant, Handle: h.switchTenant,
		},
		{
			Method: http.MethodPost, Path: "/invitations/accept", Status: http.StatusOK, Secret: true,
			Summary: "Accept an invitation, with or without an account", Body: sessions.Acceptance{}, Answer: grant, Handle: h.accept,
		},
	}
}

type authHandler struct{ Identity }

func (h authHandler) signUp(c *Call) error {
	var in sessions.SignUp
	if err := c.Decode(&in); err != nil {
		return err
	}
	if err := throttle(c, h.Account, users.NormalizeEmail(in.Email)); err != nil {
		return err
	}
	grant, err := h.Sessions.SignUp(c.Context(), c.client(), in)
	if err != nil {
		return err
	}
	c.SetHeader("Location", Base+"/me")
	return answerGrant(c, http.StatusCreated, grant)
}

func (h authHandler) login(c *Call) error {
	var in sessions.Login
	if err := c.Decode(&in); err != nil {
		return err
	}
	if err := throttle(c, h.Account, users.NormalizeEmail(in.Email)); err != nil {
		return err
	}
	grant, err := h.Sessions.Login(c.Context(), c.client(), in)
	if err != nil {
		return err
	}
	return answerGrant(c, http.StatusOK, grant)
}

// throttle bounds the attempts on one account from everywhere, so that neither its password nor its existence can be
// found by trying.
func throttle(c *Call, limit *limiter.Limiter, account string) error {
	at, err := limit.Get(c.Context(), account)
	if err != nil {
		return err
	}
	if !at.Reached {
		return nil
	}
	f := fault.New(fault.Limited, "rate_limited", "Too many attempts on this account; wait as long as Retry-After says.")
	f.RetryAfter = max(time.Until(time.Unix(at.Reset, 0)), time.Second)
	return f
}

func (h authHandler) refresh(c *Call) error {
	var in refreshInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	grant, err := h.Sessions.Refresh(c.Context(), c.client(), in.RefreshToken)
	if err != nil {
		return err
	}
	return answerGrant(c, http.StatusOK, grant)
}

func (h authHandler) logout(c *Call) error {
	if err := h.Sessions.Logout(c.Context(), c.Scope); err != nil {
		return err
	}
	return c.NoContent()
}

func (h authHandler) logoutEverywhere(c *Call) error {
	if err := h.Sessions.LogoutEverywhere(c.Context(), c.Scope); err != nil {
		return err
	}
	return c.NoContent()
}

func (h authHandler) switchTenant(c *Call) error {
	var in switchInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	if in.TenantID.IsZero() {
		return fault.Values(fault.Violation{Pointer: "/tenant_id", Code: "required", Detail: "is required; /me/tenants lists yours"})
	}
	grant, err := h.Sessions.Switch(c.Context(), c.client(), c.Scope, in.TenantID)
	if err != nil {
		return err
	}
	return answerGrant(c, http.StatusOK, grant)
}

// accept is public; whoever shows an access token beside the invitation accepts it as that user.
func (h authHandler) accept(c *Call) error {
	var in sessions.Acceptance
	if err := c.Decode(&in); err != nil {
		return err
	}
	var signedIn *tenancy.Scope
	if header := c.Header("Authorization"); header != "" {
		token, err := bearer(header)
		if err != nil {
			return err
		}
		scope, err := h.Credentials.Authenticate(c.Context(), token)
		if err != nil {
			return err
		}
		scope.RequestID, scope.Trace = c.RequestID(), c.Scope.Trace
		signedIn = &scope
	}
	grant, err := h.Sessions.Accept(c.Context(), c.client(), signedIn, in)
	if err != nil {
		return err
	}
	return answerGrant(c, http.StatusOK, grant)
}

func answerGrant(c *Call, status int, g sessions.Grant) error {
	return c.Answer(status, grantView{
		User: viewUser(g.User), Tenant: viewTenant(g.Tenant, g.Role), AccessToken: g.AccessToken, TokenType: "Bearer",
		ExpiresIn: int(g.ExpiresIn.Seconds()), RefreshToken: g.RefreshToken,
	})
}

func (c *Call) client() sessions.Client {
	return sessions.Client{UserAgent: c.UserAgent(), Address: c.ClientAddress(), RequestID: c.RequestID()}
}
