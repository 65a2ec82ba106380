package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
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
	client := apiClient{origin: s.addresses["API_ADDR"].origin(), http: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: nil},
	}}
	defer client.http.CloseIdleConnections()
	if err := s.secrets.Demo.prepare(ctx, client); err != nil {
		return fmt.Errorf("prepare the demo tenant: %w", errors.Join(err, context.Cause(ctx)))
	}
	return s.secrets.write(s.dir)
}

// prepare signs the demo user up, or in where it has an account, and makes its API key where the one we have is not good
// (any more).
func (d *demo) prepare(ctx context.Context, api apiClient) error {
	if d.TenantID != "" && d.APIKey != "" {
		if status, err := api.call(ctx, http.MethodGet, "/api/v1/customers?limit=1", d.APIKey, nil, nil); err != nil || status == http.StatusOK {
			return err
		}
	}
	var session struct {
		Tenant struct {
			ID string `json:"id"`
		} `json:"tenant"`
		AccessToken string `json:"access_token"`
	}
	for try := 1; session.AccessToken == ""; try++ {
		signUp := map[string]string{"name": "Demo", "email": d.Email, "password": d.Password, "organization": "Demo"}
		status, err := api.call(ctx, http.MethodPost, "/api/v1/auth/signup", "", signUp, &session)
		if status == http.StatusConflict {
			login := map[string]string{"email": d.Email, "password": d.Password}
			status, err = api.call(ctx, http.MethodPost, "/api/v1/auth/login", "", login, &session)
		}
		switch {
		case err != nil:
			return err
		case status == http.StatusUnauthorized && try == 1:
			// The database knows the address and our password is another: it is not the database that this LOCAL_DIR began
			// with. The account there is none of ours, so make another.
			*d = demo{Email: "demo-" + strings.ToLower(rand.Text()[:6]) + "@example.com", Password: rand.Text()}
		case session.AccessToken == "" || session.Tenant.ID == "":
			return fmt.Errorf("signing in as %s was answered with %d", d.Email, status)
		}
	}
	d.TenantID = session.Tenant.ID
	var made struct {
		Key string `json:"key"`
	}
	key := map[string]any{"name": "Local scripts", "scopes": []string{"*"}}
	status, err := api.call(ctx, http.MethodPost, "/api/v1/api-keys", session.AccessToken, key, &made)
	if err != nil {
		return err
	}
	if made.Key == "" {
		return fmt.Errorf("making an API key was answered with %d and no key", status)
	}
	d.APIKey = made.Key
	return nil
}

// apiClient speaks to the API as anybody would.
type apiClient struct {
	origin string
	http   *http.Client
}

// call sends a request, with a credential and a JSON body where they are given, and reads the answer of a success. Other
// statuses are errors with what the API says about them, except those that the caller reckons with: 401, 403 and 409.
func (c apiClient) call(ctx context.Context, method, path, credential string, body, answer any) (int, error) {
	var content io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w", method, path, err)
		}
		content = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.origin+path, content)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", method, path, err)
	}
	switch status := response.StatusCode; {
	case status < 300 && answer != nil:
		if err := json.Unmarshal(said, answer); err != nil {
			return status, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
		}
		return status, nil
	case status < 300, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusConflict:
		return status, nil
	default:
		return status, fmt.Errorf("%s %s was answered with %s: %s", method, path, response.Status, bytes.TrimSpace(said))
	}
}
