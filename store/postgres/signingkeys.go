package postgres

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/signingkeys"
)

// SigningKeys keeps the keys that access tokens are signed with. It implements signingkeys.Store.
type SigningKeys struct {
	db     *DB
	sealer Sealer
}

var _ signingkeys.Store = (*SigningKeys)(nil)

// NewSigningKeys returns the signing keys in a database, whose private halves the sealer seals.
func NewSigningKeys(db *DB, sealer Sealer) *SigningKeys {
	return &SigningKeys{db: db, sealer: sealer}
}

// signingKey is a row: the key, and its private half as it is kept.
type signingKey struct {
	signingkeys.Key

	sealed []byte
}

// Sealer seals what is kept secret, under the master key. What was sealed with a binding opens with the same one only.
type Sealer interface {
	Seal(plaintext, binding []byte) ([]byte, error)
	Open(sealed, binding []byte) ([]byte, error)
	// NeedsReseal says whether another key than the present one sealed it.
	NeedsReseal(sealed []byte) bool
}

// bindingOf is the place that a private half is sealed for: the table, the column, the row.
func bindingOf(kid string) []byte { return []byte("signing_keys/private_sealed/" + kid) }

// ListSigningKeys returns all keys.
func (s *SigningKeys) ListSigningKeys(ctx context.Context) ([]signingkeys.Key, error) {
	rows, err := s.list(s.db.control(ctx))
	return keysOf(rows), translate(err)
}

// ChangeSigningKeys changes the keys while no other process can.
func (s *SigningKeys) ChangeSigningKeys(ctx context.Context,
	change func([]signingkeys.Key) ([]signingkeys.Key, error),
) (after []signingkeys.Key, err error) {
	err = s.alone(ctx, func(tx *gorm.DB, rows []signingKey) error {
		if after, err = change(keysOf(rows)); err != nil {
			return err
		}
		return s.save(tx, rows, after)
	})
	return after, translate(err)
}

// ResealSigningKeys seals anew what another than the present master key sealed.
func (s *SigningKeys) ResealSigningKeys(ctx context.Context) (resealed int, err error) {
	err = s.alone(ctx, func(tx *gorm.DB, rows []signingKey) error {
		resealed = 0
		for _, row := range rows {
			if !s.sealer.NeedsReseal(row.sealed) {
				continue
			}
			sealed, err := s.sealer.Seal(row.Private.Seed(), bindingOf(row.KID))
			if err != nil {
				return err
			}
			if err := Defer(tx, "update signing_keys set private_sealed = $2 where kid = $1", row.KID, sealed); err != nil {
				return err
			}
			resealed++
		}
		return nil
	})
	return resealed, translate(err)
}

// alone runs act with the keys, while no other process does.
func (s *SigningKeys) alone(ctx context.Context, act func(tx *gorm.DB, rows []signingKey) error) error {
	return s.db.controlTx(ctx, nil, func(ctx context.Context) error {
		tx := s.db.control(ctx)
		if err := Lock(tx, LockKey("signing_keys")); err != nil {
			return err
		}
		rows, err := s.list(tx)
		if err != nil {
			return err
		}
		return act(tx, rows)
	})
}

func (s *SigningKeys) list(tx *gorm.DB) ([]signingKey, error) {
	return all(tx, s.read,
		"select kid, public_key, private_sealed, state, created_at, state_since from signing_keys order by created_at, kid")
}

// read opens a row. A private half that does not open, or is not the public one's, is an error that names the key.
func (s *SigningKeys) read(row scanner) (k signingKey, err error) {
	var public []byte
	if err := row.Scan(&k.KID, &public, &k.sealed, &k.State, &k.CreatedAt, &k.StateSince); err != nil {
		return signingKey{}, err
	}
	seed, err := s.sealer.Open(k.sealed, bindingOf(k.KID))
	if err != nil {
		return signingKey{}, fmt.Errorf("open the signing key %s, which another MASTER_KEY may have sealed: %w", k.KID, err)
	}
	if len(seed) != ed25519.SeedSize {
		return signingKey{}, fmt.Errorf("the signing key %s holds %d bytes, not %d", k.KID, len(seed), ed25519.SeedSize)
	}
	k.Public, k.Private = public, ed25519.NewKeyFromSeed(seed)
	if !k.Public.Equal(k.Private.Public()) {
		return signingKey{}, fmt.Errorf("the signing key %s has a public half that is not its own", k.KID)
	}
	return k, nil
}

// save writes what differs. The key that stops being the current one is written before the one that becomes it.
func (s *SigningKeys) save(tx *gorm.DB, before []signingKey, after []signingkeys.Key) error {
	known := map[string]signingKey{}
	for _, row := range before {
		known[row.KID] = row
	}
	wanted := slices.Clone(after)
	order := map[signingkeys.State]int{signingkeys.Retiring: 0, signingkeys.Current: 1, signingkeys.Next: 2}
	slices.SortFunc(wanted, func(a, b signingkeys.Key) int { return cmp.Compare(order[a.State], order[b.State]) })
	for _, key := range wanted {
		row, exists := known[key.KID]
		delete(known, key.KID)
		if exists && row.State == key.State {
			continue
		}
		if exists {
			err := Defer(tx, "update signing_keys set state = $2, state_since = $3 where kid = $1",
				key.KID, string(key.State), key.StateSince)
			if err != nil {
				return err
			}
			continue
		}
		sealed, err := s.sealer.Seal(key.Private.Seed(), bindingOf(key.KID))
		if err != nil {
			return fmt.Errorf("seal the signing key %s: %w", key.KID, err)
		}
		if err := Defer(tx, `insert into signing_keys (kid, public_key, private_sealed, state, created_at, state_since)
			values ($1, $2, $3, $4, $5, $6)`,
			key.KID, []byte(key.Public), sealed, string(key.State), key.CreatedAt, key.StateSince); err != nil {
			return err
		}
	}
	for kid := range known {
		if err := Defer(tx, "delete from signing_keys where kid = $1", kid); err != nil {
			return err
		}
	}
	return nil
}

func keysOf(rows []signingKey) []signingkeys.Key {
	keys := make([]signingkeys.Key, len(rows))
	for i, row := range rows {
		keys[i] = row.Key
	}
	return keys
}
