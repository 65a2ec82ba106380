package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// memberView is a member; its id is the user's.
type memberView struct {
	ID tenancy.ID `json:"id"`
	members.Membership
}

func viewMember(m members.Membership) memberView { return memberView{ID: m.UserID, Membership: m} }

func memberRoutes(service *members.Service) []Route {
	h := memberHandler{service: service}
	const root, one = "/members", "/members/:id"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.MembersRead, Status: http.StatusOK,
			Params: pageParameters(), Summary: "List members", Answer: memberView{}, IsList: true,
			Handle: withPage("members", service.List, viewMember),
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.MembersRead, Status: http.StatusOK,
			Summary: "Read a member", Answer: memberView{}, Handle: withID(service.Find, answerMember),
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: members.MembersWrite, Status: http.StatusOK,
			Summary: "Change a member's role", Body: members.RoleChange{}, Patch: true, Answer: memberView{}, Handle: h.change,
		},
		{
			// Leaving needs no more than being there; the service asks for members:write to remove others.
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: members.MembersRead, Status: http.StatusNoContent,
			Summary: "Remove a member (needs members:write), or leave yourself", Handle: withIDAlone(service.Remove),
		},
	}
}

type memberHandler struct{ service *members.Service }

func answerMember(c *Call, m members.Membership) error { return c.Answer(http.StatusOK, viewMember(m)) }

func (h memberHandler) change(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	var change members.RoleChange
	if err := c.Merge(&change); err != nil {
		return err
	}
	m, err := h.service.ChangeRole(c.Context(), c.Scope, id, match, change)
	if err != nil {
		return err
	}
	return answerMember(c, m)
}
