package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/signingkeys"
	"github.com/groundwork-saas/groundwork/platform/seal"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// ring holds the keys that a keyring hands out, as a process would.
type ring struct {
	mu   sync.Mutex
	keys []signingkeys.Key
	uses int
}

func (r *ring) use(keys []signingkeys.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = keys
	r.uses++
	return nil
}

// states are the keys' ids by their state.
func (r *ring) states() map[signingkeys.State][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := map[signingkeys.State][]string{}
	for _, k := range r.keys {
		states[k.State] = append(states[k.State], k.KID)
	}
	return states
}

// sealer binds values as the processes' own does.
type sealer struct{ *seal.Sealer }

func (s sealer) Seal(plain, binding []byte) ([]byte, error) {
	return s.Sealer.Seal(plain, seal.AAD{Table: "t", Column: "c", Row: string(binding)})
}

func (s sealer) Open(sealed, binding []byte) ([]byte, error) {
	return s.Sealer.Open(sealed, seal.AAD{Table: "t", Column: "c", Row: string(binding)})
}

func newSealer(tb testing.TB, master string) sealer {
	tb.Helper()
	s, err := seal.New(master)
	require.NoError(tb, err)
	return sealer{s}
}

func newMaster(tb testing.TB) string {
	tb.Helper()
	master, err := seal.NewMasterKey()
	require.NoError(tb, err)
	return master
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	config := signingkeys.Config{TokenLife: 10 * time.Minute, RotateEvery: 30 * 24 * time.Hour}

	t.Run("are_made_once_however_many_replicas_start", func(t *testing.T) {
		t.Parallel()
		stack, c := storetest.New(t), &clock{}
		store := postgres.NewSigningKeys(stack.DB, newSealer(t, newMaster(t)))
		rings, failures := atOnce(6, func(int) (*ring, error) {
			r := &ring{}
			return r, signingkeys.NewKeyring(store, r.use, c.Now, config).Ensure(t.Context())
		})
		require.Empty(t, failures)
		for _, r := range rings {
			assert.Equal(t, rings[0].states(), r.states())
			assert.Len(t, r.states()[signingkeys.Current], 1)
			assert.Len(t, r.states()[signingkeys.Next], 1)
			assert.Equal(t, signingkeys.Current, r.keys[0].State)
		}
	})
	t.Run("move_on_one_state_by_a_rotation_and_end_after_the_longest_token", func(t *testing.T) {
		t.Parallel()
		stack, c, r := storetest.New(t), &clock{}, &ring{}
		store := postgres.NewSigningKeys(stack.DB, newSealer(t, newMaster(t)))
		keyring := signingkeys.NewKeyring(store, r.use, c.Now, config)
		require.NoError(t, keyring.Ensure(t.Context()))
		first := r.states()

		require.NoError(t, keyring.Rotate(t.Context()))
		second := r.states()
		assert.Equal(t, first[signingkeys.Next], second[signingkeys.Current])
		assert.Equal(t, first[signingkeys.Current], second[signingkeys.Retiring])
		require.Len(t, second[signingkeys.Next], 1)

		c.advance(10 * time.Minute)
		require.NoError(t, keyring.Maintain(t.Context()))
		assert.Equal(t, second, r.states(), "a token of its last moment may still be good")
		c.advance(6 * time.Minute)
		require.NoError(t, keyring.Maintain(t.Context()))
		assert.Empty(t, r.states()[signingkeys.Retiring])
		assert.Equal(t, second[signingkeys.Current], r.states()[signingkeys.Current])
	})
	t.Run("rotate_by_themselves_once_when_it_is_time", func(t *testing.T) {
		t.Parallel()
		stack, c := storetest.New(t), &clock{}
		store := postgres.NewSigningKeys(stack.DB, newSealer(t, newMaster(t)))
		rings, keyrings := make([]*ring, 4), make([]*signingkeys.Keyring, 4)
		for i := range rings {
			rings[i] = &ring{}
			keyrings[i] = signingkeys.NewKeyring(store, rings[i].use, c.Now, config)
			require.NoError(t, keyrings[i].Ensure(t.Context()))
		}
		before := rings[0].states()
		c.advance(30*24*time.Hour - time.Minute)
		require.NoError(t, keyrings[0].Maintain(t.Context()))
		assert.Equal(t, before, rings[0].states())
		assert.Equal(t, 1, rings[0].uses, "keys that did not change are not handed out again")
		c.advance(time.Minute)
		_, failures := atOnce(len(keyrings), func(n int) (struct{}, error) {
			return struct{}{}, keyrings[n].Maintain(t.Context())
		})
		require.Empty(t, failures)
		for _, r := range rings {
			assert.Equal(t, before[signingkeys.Next], r.states()[signingkeys.Current])
		}
	})
	t.Run("are_read_again_for_an_unknown_one_but_not_at_every_forgery", func(t *testing.T) {
		t.Parallel()
		stack, here, there := storetest.New(t), &ring{}, &ring{}
		store := postgres.NewSigningKeys(stack.DB, newSealer(t, newMaster(t)))
		now := time.Now()
		tick := func() time.Time { now = now.Add(time.Microsecond); return now } // however long the machine takes
		mine, other := signingkeys.NewKeyring(store, here.use, tick, config), signingkeys.NewKeyring(store, there.use, tick, config)
		require.NoError(t, mine.Ensure(t.Context()))
		require.NoError(t, other.Ensure(t.Context()))
		require.NoError(t, other.Rotate(t.Context()))

		did, err := mine.ReloadFor(t.Context())
		require.NoError(t, err)
		assert.False(t, did, "they were read just now")
		now = now.Add(5 * time.Second)
		did, err = mine.ReloadFor(t.Context())
		require.NoError(t, err)
		assert.True(t, did)
		assert.Equal(t, there.states(), here.states())
		did, err = mine.ReloadFor(t.Context())
		require.NoError(t, err)
		assert.False(t, did)
	})
	t.Run("are_sealed_for_their_row_and_sealed_anew_for_another_master_key", func(t *testing.T) {
		t.Parallel()
		stack, c, r := storetest.New(t), &clock{}, &ring{}
		first := newMaster(t)
		old := postgres.NewSigningKeys(stack.DB, newSealer(t, first))
		require.NoError(t, signingkeys.NewKeyring(old, r.use, c.Now, config).Ensure(t.Context()))
		world := &world{Stack: stack}
		for _, key := range r.keys {
			found := world.text(t, "select (position($2::bytea in private_sealed) > 0)::text from signing_keys where kid = $1", key.KID, key.Private.Seed())
			assert.Equal(t, "false", found)
		}

		rotated, err := seal.Rotate(first)
		require.NoError(t, err)
		store := postgres.NewSigningKeys(stack.DB, newSealer(t, rotated))
		n, err := store.ResealSigningKeys(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		n, err = store.ResealSigningKeys(t.Context())
		require.NoError(t, err)
		assert.Zero(t, n)
		keys, err := store.ListSigningKeys(t.Context())
		require.NoError(t, err)
		assert.Len(t, keys, 2)

		_, err = old.ListSigningKeys(t.Context())
		require.ErrorContains(t, err, "MASTER_KEY")
		for _, key := range r.keys {
			assert.NotContains(t, err.Error(), string(key.Private.Seed()))
		}
		stack.Exec(t, `update signing_keys a set private_sealed = b.private_sealed from signing_keys b where a.kid <> b.kid`)
		_, err = store.ListSigningKeys(t.Context())
		require.Error(t, err, "a value copied to another row does not open")
		assert.NotContains(t, err.Error(), rotated)
	})
}
