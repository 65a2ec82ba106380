package ops_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/ops"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	server, stop := start(t, io.Discard, lifecycle.Component{Name: "nothing"}, ops.Check{Name: "database", Run: func(context.Context) error {
		if away.Load() {
			return errors.New("the server is away")
		}
		return nil
	}})
	require.NoError(t, ops.Ask(t.Context(), server.Addr()))
	_, port, err := net.SplitHostPort(server.Addr())
	require.NoError(t, err)
	require.NoError(t, ops.Ask(t.Context(), ":"+port), "who listens everywhere is asked here")
	require.NoError(t, ops.Ask(t.Context(), "0.0.0.0:"+port))

	away.Store(true)
	require.ErrorContains(t, ops.Ask(t.Context(), server.Addr()), "the server is away")
	status, _ := ask(t, server, http.MethodGet, "/servez")
	assert.Equal(t, http.StatusOK, status, "a balancer has it for its requests all the same")
	server.Drain()
	status, body := ask(t, server, http.MethodGet, "/servez")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, body, "stopping")
	stop()
	require.ErrorContains(t, ops.Ask(t.Context(), server.Addr()), "connection refused")
	assert.ErrorContains(t, ops.Ask(t.Context(), "nowhere"), "the address of the ops port")
}
