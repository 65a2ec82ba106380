// Package deploy has no code of its own: it holds the script that brings a version in, and the tests of it.
package deploy

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dockerStandIn takes docker's place: it writes down what it is asked for, with the version that docker compose would take, keeps
// the version that runs in a file, and fails where a file says so.
const dockerStandIn = `#!/usr/bin/env bash
echo "${VERSION:+[$VERSION] }docker $*" >>"$STAND/asked"
fails() { [[ -f $STAND/fail ]] && grep -qxF -- "$1" "$STAND/fail"; }
case "$1 $2 $3" in
  "image inspect "*|"pull --quiet "*) fails "${3##*/}" && exit 1; exit 0 ;;
  "compose ps --quiet")
    [[ $4 != api-1 || -f $STAND/runs ]] && echo "id-of-$4" ;;
  "compose ps --all") echo "id-of-$5"; echo "new-of-$5" ;;
  "compose config --services") sed -n '/^services:/,/^networks:/s/^  \([a-z0-9-]*\):.*/\1/p' docker-compose.yml | grep -vx operator ;;
  "compose exec -T") fails "${*:5}" && exit 1 ;;
  "inspect --format "*) echo "$(cat "$STAND/registry")/api:$(cat "$STAND/runs")" ;;
  "compose up "*)
    for last; do :; done
    fails "$VERSION $last" && exit 1
    if [[ $last == api-1 || $last == --wait ]]; then echo "$VERSION" >"$STAND/runs"; fi ;;
esac
exit 0
`

// goStandIn takes the place of the look at the stack.
const goStandIn = `#!/usr/bin/env bash
echo "look at ${*: -1} as $(wc -c <"$SMOKE_PASSWORD_FILE" | tr -d ' ') characters" >>"$STAND/asked"
if [[ -f $STAND/fail ]] && grep -qxF -- "look $(cat "$STAND/runs")" "$STAND/fail"; then exit 1; fi
`

// site is a clone on a server, where a version runs.
type site struct{ dir, stand string }

func newSite(t *testing.T, runs string) site {
	t.Helper()
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("the script is for Linux: there is no flock on this machine")
	}
	dir := t.TempDir()
	s := site{dir: filepath.Join(dir, "clone"), stand: filepath.Join(dir, "stand")}
	for _, folder := range []string{"deployments/deploy", "secrets"} {
		require.NoError(t, os.MkdirAll(filepath.Join(s.dir, folder), 0o700))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(s.stand, "bin"), 0o700))
	for from, to := range map[string]string{
		"deploy": "deployments/deploy/deploy", "../rollout": "deployments/rollout", "../../docker-compose.yml": "docker-compose.yml",
	} {
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, to), text, 0o700))
		for _, name := range regexp.MustCompile(`SECRETS_DIR:-\./secrets}/(\w+)`).FindAllSubmatch(text, -1) {
			s.put(t, filepath.Join("clone/secrets", string(name[1])), "secret")
		}
	}
	for name, text := range map[string]string{"docker": dockerStandIn, "go": goStandIn} {
		require.NoError(t, os.WriteFile(filepath.Join(s.stand, "bin", name), []byte(text), 0o700))
	}
	s.put(t, "stand/registry", "groundwork\n")
	if runs != "" {
		s.put(t, "stand/runs", runs+"\n")
	}
	return s
}

func (s site) put(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(s.dir), path), []byte(text), 0o600))
}

func (s site) read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(s.dir), path))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	require.NoError(t, err)
	return string(text)
}

// deploy runs the script and returns its exit code and what it said.
func (s site) deploy(t *testing.T, version string, variables ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.dir, "deployments/deploy/deploy"), version)
	cmd.Env = append([]string{"PATH=" + filepath.Join(s.stand, "bin") + ":/usr/bin:/bin", "STAND=" + s.stand}, variables...)
	said, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil {
		require.ErrorAs(t, err, &failed)
	}
	return cmd.ProcessState.ExitCode(), string(said)
}

// steps are what changed the stack, in order, and the looks at it.
func (s site) steps(t *testing.T) []string {
	t.Helper()
	var steps []string
	for line := range strings.Lines(s.read(t, "stand/asked")) {
		line = strings.TrimSpace(line)
		if m := regexp.MustCompile(`^(\[\S+\]) docker compose up .*?(\S+)$`).FindStringSubmatch(line); m != nil {
			steps = append(steps, m[1]+" "+m[2])
		} else if _, config, is := strings.Cut(line, "caddy reload --config "); is {
			steps = append(steps, "balance by "+config)
		} else if strings.HasPrefix(line, "look") {
			steps = append(steps, line)
		}
	}
	return steps
}

func rolled(version string) []string {
	var steps []string
	for _, service := range []string{"api-1", "api-2", "intake-1", "intake-2"} {
		steps = append(steps, "["+version+"] "+service)
	}
	for _, service := range []string{"scheduler", "worker-critical", "worker-default", "worker-reports", "worker-transfers", "worker-webhooks"} {
		steps = append(steps, "["+version+"] "+service, "["+version+"] "+service) // beside the old ones, and then without them
	}
	return steps
}

// balanced is what the balancer is told; followed is what comes after a version is found good.
const (
	balanced   = "balance by /etc/caddy/Caddyfile"
	unbalanced = "balance by /config/before.json"
)

func followed(version string) []string {
	var steps []string
	for service := range strings.FieldsSeq("mail prometheus alertmanager grafana loki alloy") {
		steps = append(steps, "["+version+"] "+service)
	}
	return steps
}

func TestDeploy_migrates_rolls_and_looks(t *testing.T) {
	t.Parallel()
	s := newSite(t, "v1")
	s.put(t, "clone/.env", "SITE_ADDRESS=shop.example.com\nVERSION=v1\n")
	code, said := s.deploy(t, "v2")
	assert.Zero(t, code, said)
	assert.Equal(t, slices.Concat([]string{"[v2] migrate"}, rolled("v2"),
		[]string{balanced, "look at https://shop.example.com as 33 characters"}, followed("v2")), s.steps(t))
	assert.Contains(t, s.read(t, "stand/asked"), "[v2] docker compose up --detach --no-deps mail\n")
	assert.Equal(t, "SITE_ADDRESS=shop.example.com\nVERSION=v2\nIMAGES=groundwork\n", s.read(t, "clone/.env"))
	for name := range strings.FieldsSeq("secrets/smoke_password .env") {
		assert.NotContains(t, said, strings.TrimSpace(s.read(t, "clone/"+name)))
	}
}

func TestDeploy_pulls_from_a_registry(t *testing.T) {
	t.Parallel()
	s := newSite(t, "v1")
	s.put(t, "stand/registry", "ghcr.io:443/acme/shop\n")
	code, said := s.deploy(t, "v2", "IMAGES=ghcr.io:443/acme/shop", "SMOKE=no")
	assert.Zero(t, code, said)
	assert.Contains(t, s.read(t, "stand/asked"), "docker pull --quiet ghcr.io:443/acme/shop/worker:v2\n")
	assert.Equal(t, slices.Concat([]string{"[v2] migrate"}, rolled("v2"), []string{balanced}, followed("v2")), s.steps(t))
	assert.Equal(t, "VERSION=v2\nIMAGES=ghcr.io:443/acme/shop\n", s.read(t, "clone/.env"))
}

func TestDeploy_goes_on_where_what_watches_is_not_to_be_had(t *testing.T) {
	t.Parallel()
	s := newSite(t, "v1")
	s.put(t, "stand/fail", "v2 alertmanager\nv2 loki\n")
	code, said := s.deploy(t, "v2", "SMOKE=no")
	assert.Zero(t, code, said)
	assert.Equal(t, slices.Concat([]string{"[v2] migrate"}, rolled("v2"), []string{balanced}, followed("v2")), s.steps(t))
	assert.Contains(t, said, "v2 runs, but not: alertmanager loki;")
	assert.Contains(t, s.read(t, "clone/.env"), "VERSION=v2\n")
}

func TestDeploy_goes_back(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail  string
		steps []string
	}{
		"where migrating fails": {"v2 migrate", append([]string{"[v2] migrate"}, rolled("v1")...)},
		"where a replica fails": {"v2 api-2", append([]string{"[v2] migrate", "[v2] api-1", "[v2] api-2"}, rolled("v1")...)},
		"where a worker fails":  {"v2 worker-critical", append(append([]string{"[v2] migrate"}, rolled("v2")[:7]...), rolled("v1")...)},
		"where the balancer refuses": {"caddy reload --config /etc/caddy/Caddyfile", slices.Concat(
			[]string{"[v2] migrate"}, rolled("v2"), []string{balanced, unbalanced}, rolled("v1"))},
		"where it does not do work": {"look v2", slices.Concat(
			[]string{"[v2] migrate"}, rolled("v2"), []string{balanced, "look at https://api.example.com as 33 characters", unbalanced}, rolled("v1"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "v1")
			s.put(t, "stand/fail", c.fail+"\n")
			code, said := s.deploy(t, "v2", "PUBLIC_URL=https://api.example.com")
			assert.Equal(t, 1, code, said)
			assert.Equal(t, c.steps, s.steps(t), "the database is not migrated again")
			assert.Equal(t, "v1\n", s.read(t, "stand/runs"))
			assert.Contains(t, said, "v1 runs again")
			if name == "where a worker fails" {
				assert.Contains(t, s.read(t, "stand/asked"), "docker stop -t 45 new-of-worker-critical\n", "only the new one is taken away")
			}
			assert.Contains(t, s.read(t, "clone/.env"), "VERSION=v1\n")
		})
	}
}

func TestDeploy_says_where_nothing_may_be_relied_on(t *testing.T) {
	t.Parallel()
	s := newSite(t, "v1")
	s.put(t, "stand/fail", "look v2\nv1 api-2\n")
	code, said := s.deploy(t, "v2", "PUBLIC_URL=https://api.example.com")
	assert.Equal(t, 3, code)
	assert.Contains(t, said, "cannot be brought back either")

	again := newSite(t, "v1")
	again.put(t, "stand/fail", "look v1\n")
	code, _ = again.deploy(t, "v1", "PUBLIC_URL=https://api.example.com")
	assert.Equal(t, 3, code, "there is nothing to go back to")

	first := newSite(t, "")
	code, said = first.deploy(t, "v1", "PUBLIC_URL=https://api.example.com")
	assert.Zero(t, code, said)
	assert.Equal(t, []string{"[v1] --wait", "look at https://api.example.com as 33 characters"}, first.steps(t))
}

func TestDeploy_refuses_and_changes_nothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version, says string
		prepare       func(*testing.T, site)
	}{
		"no version":     {"", "name the version", nil},
		"an odd version": {"v2; rm -rf x", "name the version", nil},
		"a missing secret": {"v2", "secrets are missing in ./secrets: master_key smtp_url", func(t *testing.T, s site) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(s.dir, "secrets/smtp_url")))
			s.put(t, "clone/secrets/master_key", "") // one that is empty is none
		}},
		"a missing image": {"v2", "there is no image groundwork/scheduler:v2 here", func(t *testing.T, s site) {
			t.Helper()
			s.put(t, "stand/fail", "scheduler:v2\n")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "v1")
			if c.prepare != nil {
				c.prepare(t, s)
			}
			code, said := s.deploy(t, c.version)
			assert.Equal(t, 2, code)
			assert.Contains(t, said, c.says)
			assert.Empty(t, s.steps(t))
			assert.Empty(t, s.read(t, "clone/.env"))
		})
	}
	t.Run("while another is under way", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, "v1")
		held := exec.CommandContext(t.Context(), "flock", filepath.Join(s.dir, ".deploy.lock"), "cat")
		in, err := held.StdinPipe()
		require.NoError(t, err)
		out, err := held.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, held.Start())
		_, err = in.Write([]byte("x"))
		require.NoError(t, err)
		_, err = out.Read(make([]byte, 1)) // it holds the lock by then
		require.NoError(t, err)
		code, said := s.deploy(t, "v2")
		assert.Equal(t, 2, code)
		assert.Contains(t, said, "another deployment")
		require.NoError(t, in.Close())
		require.NoError(t, held.Wait())
	})
}
