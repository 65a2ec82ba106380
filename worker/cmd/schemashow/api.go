package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

// api is the program that production runs, and an organization that has signed up.
type api struct {
	*proc.Process

	origin, logPath string
	tenant, token   string
}

// startAPI builds the API, starts it with limits that are never reached, and signs an organization up.
func (s *show) startAPI(ctx context.Context) error {
	workspace, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil {
		return fmt.Errorf("find the repository: run this inside of it (%w)", err)
	}
	s.root = filepath.Dir(strings.TrimSpace(string(workspace)))
	program := filepath.Join(s.dir, "api")
	s.say("building the API")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./api/cmd/api") //nolint:gosec // ours
	build.Dir = s.root
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the API: %w\n%s", err, said)
	}
	master, err := seal.NewMasterKey()
	if err != nil {
		return fmt.Errorf("make a master key: %w", err)
	}
	port, err := proc.FreePort(ctx)
	if err != nil {
		return err
	}
	ops, err := proc.FreePort(ctx)
	if err != nil {
		return err
	}
	a := &api{origin: "http://" + proc.Local(port), logPath: program + ".log"}
	log, err := os.OpenFile(a.logPath, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start the API: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program) //nolint:gosec // built here
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{
		"ENVIRONMENT=production", "PATH=" + os.Getenv("PATH"), "TZ=UTC", "MASTER_KEY=" + master, "ACCESS_TOKEN_TTL=1h",
		"DATABASE_URL=" + s.stand.RoleURL("groundwork_app"), "SYSTEM_DATABASE_URL=" + s.stand.RoleURL("groundwork_system"),
		"REDIS_URL=" + s.stand.RedisURL(), "PUBLIC_URL=http://show.invalid", "API_ADDR=" + proc.Local(port), "API_OPS_ADDR=" + proc.Local(ops),
		"RATE_LIMIT_TENANT=1000000000/1m", "RATE_LIMIT_KEY=1000000000/1m", "RATE_LIMIT_ADDRESS=1000000000/1m",
		"FILES_DIR=" + filepath.Join(s.dir, "files"),
	}
	if a.Process, err = proc.Start(cmd, proc.Options{DeathSignal: syscall.SIGKILL}); err != nil {
		return fmt.Errorf("start the API: %w", err)
	}
	s.api = a
	return a.signUp(ctx)
}

// signUp asks until the API is there.
func (a *api) signUp(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{
		"name": "Show", "email": "show@example.com", "password": rand.Text(), "organization": "Large",
	})
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.origin+"/api/v1/auth/signup", bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("sign up: %w", err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			return a.signedUp(response)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-a.Done():
			log, _ := os.ReadFile(a.logPath)
			return fmt.Errorf("the API has ended: %w\n%s", a.Err(), log)
		case <-ctx.Done():
			return fmt.Errorf("sign up: %w", err)
		}
	}
}

func (a *api) signedUp(response *http.Response) error {
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	var session struct {
		Tenant struct {
			ID string `json:"id"`
		} `json:"tenant"`
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(said, &session); err != nil || response.StatusCode != http.StatusCreated {
		return fmt.Errorf("sign up: %s: %s", response.Status, said)
	}
	a.tenant, a.token = session.Tenant.ID, session.AccessToken
	return nil
}
