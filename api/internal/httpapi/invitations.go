package httpapi

import (
	"net/http"
	"time"

	"github.com/groundwork-saas/groundwork/domain/members"
)

// invitationView is an invitation and what has become of it.
type invitationView struct {
	members.Invitation

	State string `json:"state"`
}

// createdInvitation is an invitation with its token, which is shown this once.
type createdInvitation struct {
	invitationView

	Token string `json:"token"`
}

func invitationRoutes(service *members.Invitations, now func() time.Time) []Route {
	h := invitationHandler{service: service, now: now}
	const root, one = "/invitations", "/invitations/:id"
	return []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: members.MembersRead, Status: http.StatusOK,
			Params: pageParameters(), Summary: "List invitations", Answer: invitationView{}, IsList: true,
			Handle: withPage("invitations", service.List, h.view),
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: members.MembersWrite, Status: http.StatusCreated,
			Secret: true, Summary: "Invite somebody; the token is shown this once",
			Body: members.InvitationInput{}, Answer: createdInvitation{}, Handle: h.create,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: members.MembersRead, Status: http.StatusOK,
			Summary: "Read an invitation", Answer: invitationView{}, Handle: withID(service.Find, h.answer),
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: members.MembersWrite, Status: http.StatusNoContent,
			Summary: "Take an invitation back", Handle: withIDAlone(service.Revoke),
		},
	}
}

type invitationHandler struct {
	service *members.Invitations
	now     func() time.Time
}

func (h invitationHandler) view(i members.Invitation) invitationView {
	return invitationView{Invitation: i, State: i.State(h.now())}
}

func (h invitationHandler) create(c *Call) error {
	var in members.InvitationInput
	if err := c.Decode(&in); err != nil {
		return err
	}
	invitation, token, err := h.service.Create(c.Context(), c.Scope, in)
	if err != nil {
		return err
	}
	c.SetHeader("Location", Base+"/invitations/"+invitation.ID.String())
	return c.Answer(http.StatusCreated, createdInvitation{invitationView: h.view(invitation), Token: token})
}

func (h invitationHandler) answer(c *Call, found members.Invitation) error {
	return c.Answer(http.StatusOK, h.view(found))
}
