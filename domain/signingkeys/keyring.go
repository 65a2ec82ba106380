package signingkeys

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config is how the keys live.
type Config struct {
	// TokenLife is the longest life of a token: a key that was signed with is published for that long, and a little
	// more, after it was. 0 is 15 minutes.
	TokenLife time.Duration
	// RotateEvery is how long a key is signed with before Maintain replaces it. 0 is 30 days.
	RotateEvery time.Duration
	// ReloadEvery is how old the keys in memory may get: how late a replica may notice another one's rotation. It
	// bounds how often an unknown key id causes a look-up, too. 0 is a minute.
	ReloadEvery time.Duration
}

func (c Config) withDefaults() Config {
	if c.TokenLife == 0 {
		c.TokenLife = 15 * time.Minute
	}
	if c.RotateEvery == 0 {
		c.RotateEvery = 30 * 24 * time.Hour
	}
	if c.ReloadEvery == 0 {
		c.ReloadEvery = time.Minute
	}
	return c
}

// Keyring is the keys in memory. Reading it never blocks; it is safe for concurrent use.
type Keyring struct {
	store  Store
	sealer Sealer
	now    func() time.Time
	config Config

	loaded atomic.Pointer[snapshot]
	// reloading lets one caller at a time look up the keys.
	reloading  sync.Mutex
	reloadedAt time.Time
}

type snapshot struct {
	keys    []Key
	kid     string
	private ed25519.PrivateKey
}

// NewKeyring returns a keyring without keys; call Ensure before it is used.
func NewKeyring(store Store, sealer Sealer, now func() time.Time, config Config) *Keyring {
	return &Keyring{store: store, sealer: sealer, now: now, config: config.withDefaults()}
}

// Ensure makes the keys that are missing and loads them all. Replicas may start at once: the keys are made by one.
func (k *Keyring) Ensure(ctx context.Context) error {
	now := k.moment()
	return k.change(ctx, func(keys []Key) ([]Key, error) { return complete(keys, k.sealer, now) })
}

// Signer returns the key to sign with, by its id.
func (k *Keyring) Signer() (kid string, private ed25519.PrivateKey, err error) {
	s := k.loaded.Load()
	if s == nil {
		return "", nil, errors.New("the signing keys are not loaded yet")
	}
	return s.kid, s.private, nil
}

// Public returns a published key by its id. One that is not known may be a new one: the keys are looked up again, at
// most once in ReloadEvery.
func (k *Keyring) Public(ctx context.Context, kid string) (ed25519.PublicKey, bool) {
	if public, ok := k.find(kid); ok {
		return public, true
	}
	if err := k.reload(ctx, kid); err != nil {
		return nil, false
	}
	return k.find(kid)
}

// Published returns all keys, the current one first, to be shown to whoever verifies tokens.
func (k *Keyring) Published() []Key {
	s := k.loaded.Load()
	if s == nil {
		return nil
	}
	keys := slices.Clone(s.keys)
	for i := range keys {
		keys[i].Sealed = nil
	}
	return keys
}

// Reload looks the keys up again.
func (k *Keyring) Reload(ctx context.Context) error {
	k.reloading.Lock()
	defer k.reloading.Unlock()
	return k.load(ctx)
}

// Rotate makes the next key the current one, now.
func (k *Keyring) Rotate(ctx context.Context) error {
	now := k.moment()
	return k.change(ctx, func(keys []Key) ([]Key, error) { return rotate(keys, k.sealer, now, k.retainFor()) })
}

// Maintain rotates where the current key has served for RotateEvery, and drops keys whose tokens have all ended. Any
// number of replicas may call it as often as they like.
func (k *Keyring) Maintain(ctx context.Context) error {
	if err := k.Reload(ctx); err != nil {
		return err
	}
	now := k.moment()
	if !k.isWorkDue(k.loaded.Load().keys, now) {
		return nil
	}
	return k.change(ctx, func(keys []Key) ([]Key, error) {
		if i := index(keys, Current); i >= 0 && now.Sub(keys[i].StateSince) >= k.config.RotateEvery {
			return rotate(keys, k.sealer, now, k.retainFor())
		}
		return prune(keys, now, k.retainFor()), nil
	})
}

// Run calls Maintain every ReloadEvery until ctx ends; report is told of what went wrong.
func (k *Keyring) Run(ctx context.Context, report func(error)) {
	ticker := time.NewTicker(k.config.ReloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := k.Maintain(ctx); err != nil && ctx.Err() == nil {
				report(err)
			}
		}
	}
}

// Reseal seals every private key anew under the present master key, once another was made the first.
func (k *Keyring) Reseal(ctx context.Context) error {
	return k.change(ctx, func(keys []Key) ([]Key, error) {
		for i := range keys {
			seed, err := k.sealer.Open(keys[i].Sealed, AAD(keys[i].KID))
			if err != nil {
				return nil, fmt.Errorf("open signing key %s: %w", keys[i].KID, err)
			}
			if keys[i].Sealed, err = k.sealer.Seal(seed, AAD(keys[i].KID)); err != nil {
				return nil, fmt.Errorf("seal signing key %s: %w", keys[i].KID, err)
			}
		}
		return keys, nil
	})
}

// retainFor is how long a key is published after it was signed with last: another replica may sign with it until it
// reloads, and what it signs then lives for TokenLife.
func (k *Keyring) retainFor() time.Duration { return k.config.TokenLife + 5*k.config.ReloadEvery }

func (k *Keyring) isWorkDue(keys []Key, now time.Time) bool {
	for _, key := range keys {
		since := now.Sub(key.StateSince)
		if key.State == Current && since >= k.config.RotateEvery || key.State == Retiring && since > k.retainFor() {
			return true
		}
	}
	return false
}

func (k *Keyring) find(kid string) (ed25519.PublicKey, bool) {
	s := k.loaded.Load()
	if s == nil {
		return nil, false
	}
	for i := range s.keys {
		if s.keys[i].KID == kid {
			return s.keys[i].Public, true
		}
	}
	return nil, false
}

// reload loads the keys for the sake of one id, unless they were loaded just now.
func (k *Keyring) reload(ctx context.Context, kid string) error {
	k.reloading.Lock()
	defer k.reloading.Unlock()
	if _, ok := k.find(kid); ok || k.now().Sub(k.reloadedAt) < k.config.ReloadEvery {
		return nil
	}
	return k.load(ctx)
}

func (k *Keyring) load(ctx context.Context) error {
	k.reloadedAt = k.now()
	keys, err := k.store.ListSigningKeys(ctx)
	if err != nil {
		return err
	}
	return k.use(keys)
}

func (k *Keyring) change(ctx context.Context, change func([]Key) ([]Key, error)) error {
	k.reloading.Lock()
	defer k.reloading.Unlock()
	keys, err := k.store.ChangeSigningKeys(ctx, change)
	if err != nil {
		return err
	}
	k.reloadedAt = k.now()
	return k.use(keys)
}

func (k *Keyring) use(keys []Key) error {
	i := index(keys, Current)
	if i < 0 {
		return errors.New("there is no current signing key")
	}
	current := keys[i]
	seed, err := k.sealer.Open(current.Sealed, AAD(current.KID))
	if err != nil {
		return fmt.Errorf("open signing key %s; was MASTER_KEY changed?: %w", current.KID, err)
	}
	if len(seed) != ed25519.SeedSize {
		return fmt.Errorf("signing key %s has a seed of %d bytes, not %d", current.KID, len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	if !slices.Equal(private.Public().(ed25519.PublicKey), current.Public) { //nolint:forcetypeassert // it is one
		return fmt.Errorf("signing key %s does not fit its public half", current.KID)
	}
	order := map[State]int{Current: 0, Next: 1, Retiring: 2}
	slices.SortStableFunc(keys, func(a, b Key) int { return order[a.State] - order[b.State] })
	k.loaded.Store(&snapshot{keys: keys, kid: current.KID, private: private})
	return nil
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (k *Keyring) moment() time.Time { return k.now().UTC().Truncate(time.Microsecond) }
