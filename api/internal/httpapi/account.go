package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/users"
)

// onItsWay says what is to come by mail.
type onItsWay struct {
	Detail string `json:"detail" example:"If the address has an account, a mail with a link is on its way to it."`
}

// verifiedView is an address that was proven to be its user's.
type verifiedView struct {
	Email         string `json:"email" example:"ada@example.com"`
	EmailVerified bool   `json:"email_verified" example:"true"`
}

func accountRoutes(identity Identity) []Route {
	h := accountHandler{identity}
	return []Route{
		{
			Method: http.MethodPost, Path: "/auth/email/verify", Status: http.StatusOK,
			Summary: "Verify an e-mail address, with the token from the mail", Body: accounts.Verification{}, Answer: verifiedView{},
			Handle: h.verify,
		},
		{
			Method: http.MethodPost, Path: "/auth/email/resend", Access: Signed, Status: http.StatusAccepted,
			Summary: "Have the mail that verifies your address sent once more", Answer: onItsWay{}, Handle: h.resend,
		},
		{
			Method: http.MethodPost, Path: "/auth/password/forgot", Status: http.StatusAccepted,
			Summary: "Have a mail sent with a link to reset a forgotten password; the answer is the same for every address",
			Body:    accounts.Forgotten{}, Answer: onItsWay{}, Handle: h.forgot,
		},
		{
			Method: http.MethodPost, Path: "/auth/password/reset", Status: http.StatusNoContent,
			Summary: "Set a new password, with the token from the mail; all sessions end", Body: accounts.NewPassword{},
			Handle: h.reset,
		},
	}
}

type accountHandler struct{ Identity }

func (h accountHandler) verify(c *Call) error {
	var in accounts.Verification
	if err := c.Decode(&in); err != nil {
		return err
	}
	user, err := h.Accounts.Verify(c.Context(), in, c.RequestID())
	if err != nil {
		return err
	}
	return c.Answer(http.StatusOK, verifiedView{Email: user.Email, EmailVerified: user.IsEmailVerified()})
}

func (h accountHandler) resend(c *Call) error {
	if err := throttle(c, h.Account, "resend "+c.Scope.Actor.ID.String()); err != nil {
		return err
	}
	if err := h.Accounts.Resend(c.Context(), c.Scope); err != nil {
		return err
	}
	return c.Answer(http.StatusAccepted, onItsWay{Detail: "A mail with a link is on its way to you."})
}

// forgot is limited by the address apart from sign-ins: whoever tries passwords must not keep its user from a new one.
func (h accountHandler) forgot(c *Call) error {
	var in accounts.Forgotten
	if err := c.Decode(&in); err != nil {
		return err
	}
	if err := throttle(c, h.Account, "forgot "+users.NormalizeEmail(in.Email)); err != nil {
		return err
	}
	if err := h.Accounts.Forgot(c.Context(), in, c.RequestID()); err != nil {
		return err
	}
	return c.Answer(http.StatusAccepted, onItsWay{Detail: "If the address has an account, a mail with a link is on its way to it."})
}

func (h accountHandler) reset(c *Call) error {
	var in accounts.NewPassword
	if err := c.Decode(&in); err != nil {
		return err
	}
	if err := h.Accounts.Reset(c.Context(), in, c.RequestID()); err != nil {
		return err
	}
	return c.NoContent()
}
