package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// resealAtOnce is how many endpoints are read at once to be sealed anew.
const resealAtOnce = 100

// SealedEndpoints are what is sealed of all tenants' webhook endpoints, as the system's role sees them.
type SealedEndpoints struct {
	system *DB
	sealer Sealer
}

// NewSealedEndpoints returns them over a database that is open as the system's role.
func NewSealedEndpoints(system *DB, sealer Sealer) SealedEndpoints {
	return SealedEndpoints{system: system, sealer: sealer}
}

// sealedRow is what is sealed of an endpoint.
type sealedRow struct {
	tenant, id                tenancy.ID
	version                   int64
	headers, secret, previous []byte
}

func readSealed(row scanner) (r sealedRow, err error) {
	return r, row.Scan(&r.tenant, &r.id, &r.version, &r.headers, &r.secret, &r.previous)
}

// Reseal seals anew, under the present master key, the headers and secrets of endpoints that an older one sealed. It
// returns how many endpoints that were; where it fails at some, it goes on with the others. An endpoint that is changed
// meanwhile is left alone: whoever changes it seals it anew.
func (s SealedEndpoints) Reseal(ctx context.Context) (resealed int, failed error) {
	var last sealedRow
	for {
		rows, err := all(s.system.with(ctx, engineSession()), readSealed,
			`select e.tenant_id, e.id, e.version, e.headers_sealed, e.secret_sealed, e.previous_secret_sealed from webhook_endpoints e
			where (e.tenant_id, e.id) > ($1::uuid, $2::uuid) and e.deleted_at is null order by e.tenant_id, e.id limit $3`,
			last.tenant, last.id, resealAtOnce)
		if err != nil {
			return resealed, errors.Join(failed, fmt.Errorf("list what is sealed of webhook endpoints: %w", translate(err)))
		}
		for _, row := range rows {
			last = row
			changed, err := s.reseal(ctx, row)
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("seal the webhook endpoint %s anew: %w", row.id, err))
			}
			if changed {
				resealed++
			}
		}
		if len(rows) < resealAtOnce {
			return resealed, failed
		}
	}
}

// reseal seals one endpoint anew where it needs it, and says whether it did. The version stays: nothing has changed but
// how it is kept.
func (s SealedEndpoints) reseal(ctx context.Context, r sealedRow) (changed bool, err error) {
	for column, values := range map[string][]*[]byte{"headers": {&r.headers}, "secret": {&r.secret, &r.previous}} {
		for _, sealed := range values {
			if *sealed == nil || !s.sealer.NeedsReseal(*sealed) {
				continue
			}
			binding := endpointBinding(column, r.tenant, r.id)
			plaintext, err := s.sealer.Open(*sealed, binding)
			if err != nil {
				return false, err
			}
			if *sealed, err = s.sealer.Seal(plaintext, binding); err != nil {
				return false, err
			}
			changed = true
		}
	}
	if !changed {
		return false, nil
	}
	n, err := affect(s.system.Scoped(ctx, tenancy.AsSystem(r.tenant, "")), `update webhook_endpoints
		set headers_sealed = $4, secret_sealed = $5, previous_secret_sealed = $6
		where tenant_id = $1 and id = $2 and version = $3 and deleted_at is null`,
		r.tenant, r.id, r.version, r.headers, r.secret, r.previous)
	return n > 0, translate(err)
}
