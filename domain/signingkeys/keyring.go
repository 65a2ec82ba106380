package signingkeys

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Config is how the keys live.
type Config struct {
	// TokenLife is the longest life of a token: a key that was signed with is published for that long, and a little
	// more, after it was. 0 is 15 minutes.
	TokenLife time.Duration
	// RotateEvery is how long a key is signed with before Maintain replaces it. 0 is 30 days.
	RotateEvery time.Duration
	// ReloadEvery is how often Run looks the keys up: how late a replica may notice another one's rotation. 0 is a
	// minute.
	ReloadEvery time.Duration
	// ReloadAtMost is how old the keys must be for a token with an unknown key to have them looked up. It bounds what
	// forged tokens cost. 0 is 5 seconds.
	ReloadAtMost time.Duration
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
	if c.ReloadAtMost == 0 {
		c.ReloadAtMost = 5 * time.Second
	}
	return c
}

// Keyring keeps the keys that a process signs and verifies with the same as those of the store. It is safe for
// concurrent use, by any number of processes.
type Keyring struct {
	store  Store
	use    func([]Key) error
	now    func() time.Time
	config Config

	mu       sync.Mutex
	loadedAt time.Time
	used     []Key
}

// NewKeyring returns a keyring that hands the keys to use, the current one first, whenever they have changed. Call
// Ensure before tokens are signed.
func NewKeyring(store Store, use func([]Key) error, now func() time.Time, config Config) *Keyring {
	return &Keyring{store: store, use: use, now: now, config: config.withDefaults()}
}

// Ensure makes the keys that are missing and loads them all. Replicas may start at once: the keys are made by one.
func (k *Keyring) Ensure(ctx context.Context) error {
	now := k.moment()
	return k.change(ctx, func(keys []Key) ([]Key, error) { return complete(keys, now) })
}

// Reload reads the keys again.
func (k *Keyring) Reload(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, err := k.load(ctx)
	return err
}

// ReloadFor reads the keys again for the sake of a token whose key is not known, unless they were read just now. It
// says whether it did, so that the token is worth another look.
func (k *Keyring) ReloadFor(ctx context.Context) (bool, error) {
	started := k.moment()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.loadedAt.Before(started) {
		return true, nil // somebody did while this waited
	}
	if started.Sub(k.loadedAt) < k.config.ReloadAtMost {
		return false, nil
	}
	_, err := k.load(ctx)
	return err == nil, err
}

// Rotate makes the next key the current one, now.
func (k *Keyring) Rotate(ctx context.Context) error {
	now := k.moment()
	return k.change(ctx, func(keys []Key) ([]Key, error) { return rotate(keys, now, k.retainFor()) })
}

// Maintain reads the keys again, rotates where the current one has served for RotateEvery, and drops those whose tokens
// have all ended. Any number of replicas may call it as often as they like: what is due is done once.
func (k *Keyring) Maintain(ctx context.Context) error {
	k.mu.Lock()
	keys, err := k.load(ctx)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	now := k.moment()
	if !k.isRotationDue(keys, now) && len(prune(slices.Clone(keys), now, k.retainFor())) == len(keys) {
		return nil
	}
	return k.change(ctx, func(keys []Key) ([]Key, error) {
		if k.isRotationDue(keys, now) {
			return rotate(keys, now, k.retainFor())
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

// Reseal seals anew what was sealed under another than the present master key, and says how many keys that were.
func (k *Keyring) Reseal(ctx context.Context) (int, error) { return k.store.ResealSigningKeys(ctx) }

// retainFor is how long a key is published after it was signed with last: another replica may sign with it until it
// reloads, and what it signs then lives for TokenLife.
func (k *Keyring) retainFor() time.Duration { return k.config.TokenLife + 5*k.config.ReloadEvery }

func (k *Keyring) isRotationDue(keys []Key, now time.Time) bool {
	i := index(keys, Current)
	return i < 0 || now.Sub(keys[i].StateSince) >= k.config.RotateEvery
}

func (k *Keyring) load(ctx context.Context) ([]Key, error) {
	at := k.moment()
	keys, err := k.store.ListSigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	return keys, k.hand(keys, at)
}

func (k *Keyring) change(ctx context.Context, change func([]Key) ([]Key, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.moment()
	keys, err := k.store.ChangeSigningKeys(ctx, change)
	if err != nil {
		return err
	}
	return k.hand(keys, at)
}

func (k *Keyring) hand(keys []Key, at time.Time) error {
	k.loadedAt = at
	order := map[State]int{Current: 0, Next: 1, Retiring: 2}
	ordered := slices.Clone(keys)
	slices.SortStableFunc(ordered, func(a, b Key) int { return order[a.State] - order[b.State] })
	if slices.EqualFunc(k.used, ordered, func(a, b Key) bool { return a.KID == b.KID && a.State == b.State }) {
		return nil
	}
	if err := k.use(ordered); err != nil {
		return err
	}
	k.used = ordered
	return nil
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (k *Keyring) moment() time.Time { return k.now().UTC().Truncate(time.Microsecond) }
