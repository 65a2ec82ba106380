package ops_test

import (
	"context"
	"errors"
	"io"
	"net"
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
	assert.ErrorContains(t, ops.Ask(t.Context(), server.Addr()), "the server is away")
	stop()
	require.ErrorContains(t, ops.Ask(t.Context(), server.Addr()), "connection refused")
	assert.ErrorContains(t, ops.Ask(t.Context(), "nowhere"), "the address of the ops port")
}
