package backend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/ops"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/store/databasetest"
)

type testSettings struct {
	config.Common

	OpsAddr config.Address `env:"OPS_ADDR" default:":1" help:"The ops port."`
	Color   string         `env:"COLOR" default:"red" help:"A color."`
}

func TestStart(t *testing.T) {
	t.Parallel()
	program := Program{Name: "painter", Summary: "paints", OpsAddr: "OPS_ADDR", Now: time.Now}
	never := func(context.Context, *testSettings, *Process) error { return errors.New("it was served") }

	t.Run("shows_the_help_and_opens_nothing", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		require.NoError(t, start(program, surroundings{args: []string{"--help"}, out: &out}, never))
		assert.Contains(t, out.String(), "painter: paints")
		assert.Contains(t, out.String(), "COLOR")
		assert.Contains(t, out.String(), "DATABASE_URL_FILE")
	})
	t.Run("says_which_build_it_is", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		require.NoError(t, start(program, surroundings{args: []string{"version"}, out: &out}, never))
		assert.Contains(t, out.String(), ", commit ")
	})
	t.Run("asks_the_process_beside_it_whether_it_is_ready", func(t *testing.T) {
		t.Parallel()
		check := surroundings{args: []string{"healthcheck"}}
		require.ErrorContains(t, start(program, check, never), "127.0.0.1:1: connect: connection refused", "the default's port")

		server := ops.New(ops.Config{Addr: "127.0.0.1:0", Registry: prometheus.NewRegistry(), Log: logging.New(logging.Config{Output: io.Discard})})
		require.NoError(t, server.Start(t.Context()))
		served := make(chan error, 1)
		go func() { served <- server.Serve() }()
		check.environ = []string{"OPS_ADDR=" + server.Addr()}
		require.NoError(t, start(program, check, never))
		server.Drain()
		require.ErrorContains(t, start(program, check, never), `"stopping"`)
		require.NoError(t, server.Stop(t.Context()))
		require.NoError(t, <-served)
	})
	t.Run("names_every_setting_that_is_missing", func(t *testing.T) {
		t.Parallel()
		err := start(program, surroundings{}, never)
		for _, name := range []string{"DATABASE_URL", "REDIS_URL", "MASTER_KEY"} {
			require.ErrorContains(t, err, name)
		}
	})
	t.Run("serves_with_the_settings_and_an_open_backend", func(t *testing.T) {
		t.Parallel()
		database := databasetest.New(t)
		master, err := seal.NewMasterKey()
		require.NoError(t, err)
		stopped := errors.New("stopped")
		err = start(program, surroundings{environ: []string{
			"DATABASE_URL=" + database.AppURL, "REDIS_URL=redis://127.0.0.1:1", "MASTER_KEY=" + master, "COLOR=blue",
		}}, func(ctx context.Context, cfg *testSettings, p *Process) error {
			defer func() { assert.NoError(t, p.Component().Stop(ctx)) }()
			assert.Equal(t, "blue", cfg.Color)
			require.NoError(t, p.DB.Ping(ctx))
			assert.Equal(t, "painter", processOf(t, p))
			return stopped
		})
		require.ErrorIs(t, err, stopped)
	})
}

// processOf is the name of the process as its log lines have it.
func processOf(t *testing.T, p *Process) string {
	t.Helper()
	var out bytes.Buffer
	p.Log.SetOutput(&out)
	p.Log.Error("a line")
	_, after, found := bytes.Cut(out.Bytes(), []byte(`"process":"`))
	require.True(t, found, out.String())
	name, _, _ := bytes.Cut(after, []byte(`"`))
	return string(name)
}
