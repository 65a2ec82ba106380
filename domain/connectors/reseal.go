package connectors

import (
	"context"
	"errors"
	"fmt"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// SealedAuth is the credential of a connector, as it is kept.
type SealedAuth struct {
	Tenant, ID tenancy.ID
	Version    int64
	Sealed     []byte
}

// SealedStore reads and replaces the credentials of all tenants' connectors.
type SealedStore interface {
	// ListSealed returns up to limit credentials of all tenants, in the order of tenant and id, after one of them.
	ListSealed(ctx context.Context, after SealedAuth, limit int) ([]SealedAuth, error)
	// ReplaceSealed saves a credential, unless the connector has another version by now. The version stays.
	ReplaceSealed(ctx context.Context, auth SealedAuth) error
}

// Resealer is a Sealer that knows what was sealed with an older key than its present one.
type Resealer interface {
	Sealer
	NeedsReseal(sealed []byte) bool
}

const resealAtOnce = 100

// Reseal seals anew, under the present master key, the credentials that an older one sealed. It returns how many that
// were; where it fails at some, it goes on with the others.
func Reseal(ctx context.Context, store SealedStore, sealer Resealer) (resealed int, failed error) {
	var last SealedAuth
	for {
		list, err := store.ListSealed(ctx, last, resealAtOnce)
		if err != nil {
			return resealed, errors.Join(failed, err)
		}
		for _, auth := range list {
			last = auth
			if !sealer.NeedsReseal(auth.Sealed) {
				continue
			}
			if err := reseal(ctx, store, sealer, auth); err != nil {
				failed = errors.Join(failed, fmt.Errorf("seal the credential of connector %s anew: %w", auth.ID, err))
				continue
			}
			resealed++
		}
		if len(list) < resealAtOnce {
			return resealed, failed
		}
	}
}

func reseal(ctx context.Context, store SealedStore, sealer Resealer, auth SealedAuth) error {
	binding := authBinding(Connector{TenantID: auth.Tenant, ID: auth.ID})
	plaintext, err := sealer.Open(auth.Sealed, binding)
	if err != nil {
		return err
	}
	if auth.Sealed, err = sealer.Seal(plaintext, binding); err != nil {
		return err
	}
	return store.ReplaceSealed(ctx, auth)
}
