package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// demo is the tenant that everybody finds in a fresh stack, and how to sign in to it.
type demo struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	TenantID string `json:"tenant_id"`
	APIKey   string `json:"api_key"`
}

// prepareDemo has the demo tenant in the database and its API key in our hands, by the public API only.
func (s *stack) prepareDemo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	api := client.Client{Origin: s.addresses["API_ADDR"].origin(), HTTP: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: nil},
	}}
	defer api.HTTP.CloseIdleConnections()
	if err := s.secrets.Demo.prepare(ctx, api); err != nil {
		return fmt.Errorf("prepare the demo tenant: %w", errors.Join(err, context.Cause(ctx)))
	}
	return s.secrets.write(s.dir)
}

// prepare signs the demo user in, or up where it has no account, and makes its API key where the one we have is not good
// (any more).
func (d *demo) prepare(ctx context.Context, api client.Client) error {
	if d.TenantID != "" && d.APIKey != "" {
		api.Token = d.APIKey
		err := api.Do(ctx, client.Call{Method: http.MethodGet, Path: "/customers?limit=1"})
		var no *client.UnexpectedError
		if !errors.As(err, &no) || no.Status != http.StatusUnauthorized && no.Status != http.StatusForbidden {
			return err
		}
	}
	session, err := d.enter(ctx, &api)
	if errors.Is(err, client.ErrOtherPassword) {
		// It is not the database that this LOCAL_DIR began with, and the account there is none of ours, so make another.
		*d = demo{Email: "demo-" + strings.ToLower(rand.Text()[:6]) + "@example.com", Password: rand.Text()}
		session, err = d.enter(ctx, &api)
	}
	if err != nil {
		return err
	}
	d.TenantID = session.Tenant.ID
	var made struct {
		Key string `json:"key"`
	}
	key := map[string]any{"name": "Local scripts", "scopes": []string{"*"}}
	err = api.Do(ctx, client.Call{Method: http.MethodPost, Path: "/api-keys", Body: key, Into: &made, Want: http.StatusCreated})
	d.APIKey = made.Key
	return err
}

func (d *demo) enter(ctx context.Context, api *client.Client) (client.Session, error) {
	api.Token = ""
	session, _, err := api.Enter(ctx, client.Account{Name: "Demo", Email: d.Email, Password: d.Password, Organization: "Demo"})
	return session, err
}
