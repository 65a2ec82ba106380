package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenants"
)

func tenantRoutes(identity Identity) []Route {
	h := tenantHandler{identity}
	return []Route{
		{
			Method: http.MethodGet, Path: "/tenant", Access: Tenant, Permission: members.TenantRead, Status: http.StatusOK,
			Summary: "Read your organization", Answer: tenantView{}, Versioned: true, Handle: h.find,
		},
		{
			Method: http.MethodPatch, Path: "/tenant", Access: Tenant, Permission: members.TenantWrite, Status: http.StatusOK,
			Summary: "Change your organization's name or time zone", Body: tenants.Settings{}, Patch: true, Answer: tenantView{},
			Versioned: true, Handle: h.change,
		},
		{
			Method: http.MethodGet, Path: "/roles", Access: Tenant, Status: http.StatusOK,
			Summary: "List the roles and what each may do", Answer: members.Role{}, IsList: true, Handle: h.roles,
		},
	}
}

type tenantHandler struct{ Identity }

func (h tenantHandler) find(c *Call) error {
	tenant, err := h.Tenants.Find(c.Context(), c.Scope)
	if err != nil {
		return err
	}
	return c.answerUnlessKnown(tenant.Version, viewTenant(tenant, ""))
}

func (h tenantHandler) change(c *Call) error {
	match, err := c.Match()
	if err != nil {
		return err
	}
	tenant, err := h.Tenants.Change(c.Context(), c.Scope, match, func(s *tenants.Settings) error { return c.Merge(s) })
	if err != nil {
		return err
	}
	return c.answerRecord(tenant.Version, viewTenant(tenant, ""))
}

// roles answers from memory; the caller's access is proven all the same.
func (h tenantHandler) roles(c *Call) error {
	if err := h.Credentials.Verify(c.Context(), c.Scope); err != nil {
		return err
	}
	return answerAll(c, h.Roles.List(), itself)
}
