package passwords

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestAHashWaitsForACore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{Time: 1, MemoryKiB: 8, Concurrency: 1})
		h.slots <- struct{}{} // somebody else is at work

		ctx, cancel := context.WithCancel(t.Context())
		given, patient := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := h.Hash(ctx, "x")
			given <- err
		}()
		go func() { patient <- h.VerifyNothing(t.Context(), "x") }()
		synctest.Wait()
		require.Empty(t, given, "it waits")
		require.Empty(t, patient, "an unknown user's check waits as well")

		cancel()
		require.ErrorIs(t, <-given, context.Canceled)
		<-h.slots // the work is done
		require.NoError(t, <-patient)
		require.Empty(t, h.slots, "the core is given back")
	})
}
