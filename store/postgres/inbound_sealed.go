package postgres

import (
	"context"
	"fmt"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// SealedSources are what is sealed of all tenants' webhook sources, as the system's role sees them.
type SealedSources struct{ system *DB }

var _ inbound.SealedStore = SealedSources{}

// NewSealedSources returns them over a database that is open as the system's role.
func NewSealedSources(system *DB) SealedSources { return SealedSources{system: system} }

// ListSealed returns sources of all tenants after one of them.
func (s SealedSources) ListSealed(ctx context.Context, afterTenant, afterID tenancy.ID, limit int) ([]inbound.Source, error) {
	list, err := all(s.system.control(ctx), readSource, "select "+sourceColumns+" from list_webhook_sources($1::uuid, $2::uuid, $3::int) s",
		afterTenant, afterID, int64(limit))
	return list, translate(err)
}

// ReplaceSealed saves what is sealed of a source that has not changed since.
func (s SealedSources) ReplaceSealed(ctx context.Context, source inbound.Source) error {
	_, secrets, err := documents(source)
	if err != nil {
		return err
	}
	_, err = affect(s.system.control(ctx),
		"update webhook_sources set token_sealed = $4, secrets = $5 where tenant_id = $1 and id = $2 and version = $3",
		source.TenantID, source.ID, source.Version, source.TokenSealed, secrets)
	if err != nil {
		return fmt.Errorf("replace what is sealed: %w", translate(err))
	}
	return nil
}
