package inbound

import (
	"context"
	"errors"
	"fmt"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// SealedStore reads and replaces what is sealed, of all tenants' sources.
type SealedStore interface {
	// ListSealed returns up to limit sources of all tenants, in the order of tenant and id, after one of them; the zero
	// ids are before all.
	ListSealed(ctx context.Context, afterTenant, afterID tenancy.ID, limit int) ([]Source, error)
	// ReplaceSealed saves what is sealed of a source, unless it has another version by now. The version stays: nothing
	// has changed but how it is kept.
	ReplaceSealed(ctx context.Context, source Source) error
}

// Resealer is a Sealer that knows what was sealed with an older key than its present one.
type Resealer interface {
	Sealer
	NeedsReseal(sealed []byte) bool
}

const resealAtOnce = 100

// Reseal seals anew, under the present master key, what of the sources was sealed under an older one. It returns how
// many sources that were; where it fails at some, it goes on with the others.
func Reseal(ctx context.Context, store SealedStore, sealer Resealer) (resealed int, failed error) {
	var last Source
	for {
		sources, err := store.ListSealed(ctx, last.TenantID, last.ID, resealAtOnce)
		if err != nil {
			return resealed, errors.Join(failed, err)
		}
		for _, source := range sources {
			last = source
			changed, err := source.reseal(sealer)
			if err == nil && changed {
				err = store.ReplaceSealed(ctx, source)
			}
			switch {
			case err != nil:
				failed = errors.Join(failed, fmt.Errorf("seal the webhook source %s anew: %w", source.ID, err))
			case changed:
				resealed++
			}
		}
		if len(sources) < resealAtOnce {
			return resealed, failed
		}
	}
}

// reseal seals the source's secrets and its address anew where they need it, and says whether any did.
func (s *Source) reseal(sealer Resealer) (changed bool, err error) {
	anew := func(sealed *[]byte, binding []byte) error {
		if !sealer.NeedsReseal(*sealed) {
			return nil
		}
		plaintext, err := sealer.Open(*sealed, binding)
		if err != nil {
			return err
		}
		changed = true
		*sealed, err = sealer.Seal(plaintext, binding)
		return err
	}
	if err := anew(&s.TokenSealed, urlBinding(*s)); err != nil {
		return false, err
	}
	for i := range s.Secrets {
		if err := anew(&s.Secrets[i].Sealed, secretBinding(*s, s.Secrets[i].ID)); err != nil {
			return false, err
		}
	}
	return changed, nil
}
