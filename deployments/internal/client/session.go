package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Account is somebody with an organization of their own.
type Account struct {
	Name         string `json:"name"`
	Email        string `json:"email"`
	Password     string `json:"password"`
	Organization string `json:"organization"`
}

// Session is what signing up and signing in are answered with.
type Session struct {
	AccessToken string `json:"access_token"`
	Tenant      struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"tenant"`
}

// ErrOtherPassword says that there is an account with the address, and that its password is another one.
var ErrOtherPassword = errors.New("the account has another password")

// SignUp makes an account. The client is signed in to it from then on.
func (c *Client) SignUp(ctx context.Context, a Account) (s Session, err error) {
	err = c.Do(ctx, Call{Method: http.MethodPost, Path: "/auth/signup", Body: a, Into: &s, Want: http.StatusCreated})
	if err == nil {
		c.Token = s.AccessToken
	}
	return s, err
}

// Enter signs in to an account, which is made where nobody has its address; isNew says so.
func (c *Client) Enter(ctx context.Context, a Account) (s Session, isNew bool, err error) {
	credentials := map[string]string{"email": a.Email, "password": a.Password}
	err = c.Do(ctx, Call{Method: http.MethodPost, Path: "/auth/login", Body: credentials, Into: &s, Want: http.StatusOK})
	if err == nil {
		c.Token = s.AccessToken
	}
	if !HasCode(err, "auth.invalid_credentials") {
		return s, false, err
	}
	s, err = c.SignUp(ctx, a)
	if HasCode(err, "auth.email_taken") {
		err = fmt.Errorf("%w: %s", ErrOtherPassword, a.Email)
	}
	return s, true, err
}
