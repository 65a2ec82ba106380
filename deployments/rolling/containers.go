package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// containers are the running stack of docker-compose.yml.
type containers struct {
	options

	dir   string
	names []string
}

// openContainers finds the stack's containers. What it returns with an error is to be closed, too.
func openContainers(ctx context.Context, o options) (_ site, err error) {
	if o.receiver == "" {
		return nil, errors.New("-compose needs -receiver: an address of this machine that containers reach, which the stack's WEBHOOK_ALLOW names")
	}
	c := &containers{options: o}
	if c.dir, err = os.MkdirTemp("", "groundwork-rolling-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	listed, err := docker(ctx, "compose", "ps", "--format", "{{.Service}} {{.Name}}")
	if err != nil {
		return c, err
	}
	// Those that follow each other are of one kind, as when a new version is rolled out.
	kinds := []string{"api-1", "api-2", "intake-1", "intake-2", "worker-critical", "worker-default", "worker-webhooks", "worker-transfers", "worker-reports", "scheduler"}
	found := map[string][]string{}
	for line := range strings.Lines(listed) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[kind] = append(found[kind], name)
	}
	for _, kind := range kinds {
		slices.Sort(found[kind])
		c.names = append(c.names, found[kind]...)
	}
	if len(found["api-1"]) == 0 || len(found["api-2"]) == 0 || len(found["intake-1"]) == 0 || len(found["intake-2"]) == 0 {
		return c, errors.New("two of the API and of the intake must run; start the stack with: docker compose up -d")
	}
	if c.options.authority == "" {
		c.options.authority = filepath.Join(c.dir, "root.crt")
		_, err = docker(ctx, "compose", "cp", "caddy:/data/caddy/pki/authorities/local/root.crt", c.options.authority)
	}
	return c, err
}

func (c *containers) origin() string     { return strings.TrimRight(c.target, "/") }
func (c *containers) authority() string  { return c.options.authority }
func (c *containers) replicas() []string { return c.names }

// advance does nothing: containers are restarted as what they are, and with -during the program sees to the database.
func (c *containers) advance(context.Context) error { return nil }

// restart restarts a container, which must end by itself, and waits until it is healthy.
func (c *containers) restart(ctx context.Context, name string) error {
	if _, err := docker(ctx, "stop", "-t", strconv.Itoa(int(stopPatience.Seconds())), name); err != nil {
		return err
	}
	code, err := docker(ctx, "inspect", "-f", "{{.State.ExitCode}}", name)
	if err != nil {
		return err
	}
	if strings.TrimSpace(code) != "0" {
		return fmt.Errorf("it ended with %s, see: docker logs %s", strings.TrimSpace(code), name)
	}
	if _, err := docker(ctx, "start", name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		var state struct{ Health struct{ Status string } }
		told, err := docker(ctx, "inspect", "-f", "{{json .State}}", name)
		if err == nil {
			err = json.Unmarshal([]byte(told), &state)
		}
		if err != nil || state.Health.Status == "healthy" {
			return err
		}
		if err := client.Pause(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("it is not healthy: %w", err)
		}
	}
}

func (c *containers) close(context.Context, bool) error { return os.RemoveAll(c.dir) }

// docker runs the command of that name, as the environment says (DOCKER_HOST, COMPOSE_FILE).
func docker(ctx context.Context, args ...string) (string, error) {
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, bytes.TrimSpace(complaints.Bytes()))
	}
	return out.String(), nil
}
