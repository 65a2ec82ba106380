package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

var _ apikeys.Store = (*Identity)(nil)

const selectKeys = "select k.tenant_id, k.id, k.name, k.prefix, to_json(k.scopes), k.created_by, k.version, k.created_at, " +
	"k.updated_at, k.expires_at, k.last_used_at, k.revoked_at from api_keys k"

func keyRows() rowsOf[apikeys.Key] {
	return rowsOf[apikeys.Key]{
		query: selectKeys + " where k.tenant_id = $1", id: "k.id", read: readKey,
		missing: func() error { return notFound("api_key.not_found", "API key") },
	}
}

func readKey(row scanner) (k apikeys.Key, err error) {
	var scopes []byte
	err = row.Scan(&k.TenantID, &k.ID, &k.Name, &k.Prefix, &scopes, &k.CreatedBy, &k.Version, &k.CreatedAt,
		&k.UpdatedAt, &k.ExpiresAt, &k.LastUsedAt, &k.RevokedAt)
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(scopes, &k.Scopes)
}

// CreateKey saves a key, in one round trip.
func (i *Identity) CreateKey(ctx context.Context, scope tenancy.Scope, key apikeys.Key, tokenHash []byte) error {
	err := i.db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := i.db.Scoped(ctx, scope)
		if err := insertKey(tx, key, tokenHash); err != nil {
			return err
		}
		if err := tellAct(tx, scope, key.CreatedAt, "api_key.created", "api_key", key.ID, key.Version,
			audit.Change{Field: "name", To: key.Name}, audit.Change{Field: "scopes", To: key.Scopes}); err != nil {
			return err
		}
		return i.mail(ctx, scope.AsSystem(scope.Tenant), notices.APIKeyCreated{KeyID: key.ID})
	})
	return translate(err)
}

func insertKey(tx *gorm.DB, k apikeys.Key, tokenHash []byte) error {
	return Defer(tx, `insert into api_keys
		(tenant_id, id, name, prefix, token_hash, scopes, created_by, version, created_at, updated_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		k.TenantID, k.ID, k.Name, k.Prefix, tokenHash, textList(k.Scopes), k.CreatedBy, k.Version, k.CreatedAt,
		k.UpdatedAt, k.ExpiresAt)
}

// ListKeys returns keys, newest first.
func (i *Identity) ListKeys(ctx context.Context, scope tenancy.Scope, request page.Request) ([]apikeys.Key, error) {
	list, err := keyRows().list(i.db.Scoped(ctx, scope), scope.Tenant, request)
	return list, translate(err)
}

// FindKey returns one key.
func (i *Identity) FindKey(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (apikeys.Key, error) {
	k, err := keyRows().find(i.db.Scoped(ctx, scope), scope.Tenant, id, "")
	return k, translate(err)
}

// ChangeKey changes or revokes a key.
func (i *Identity) ChangeKey(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time,
	change func(*apikeys.Key) error,
) (after apikeys.Key, err error) {
	err = i.db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := i.db.Scoped(ctx, scope)
		before, err := keyRows().find(tx, scope.Tenant, id, " for no key update")
		if err != nil {
			return err
		}
		after = before
		if err := change(&after); err != nil {
			return err
		}
		return updateKey(tx, scope, before, &after, now)
	})
	return after, translate(err)
}

// updateKey saves what differs, under the next version.
func updateKey(tx *gorm.DB, scope tenancy.Scope, before apikeys.Key, after *apikeys.Key, now time.Time) error {
	changes := differences(
		audit.Change{Field: "name", From: before.Name, To: after.Name},
		audit.Change{Field: "expires_at", From: timeOf(before.ExpiresAt), To: timeOf(after.ExpiresAt)},
		audit.Change{Field: "revoked_at", From: timeOf(before.RevokedAt), To: timeOf(after.RevokedAt)},
	)
	if len(changes) == 0 {
		return nil
	}
	after.Version, after.UpdatedAt = before.Version+1, now
	err := Defer(tx, `update api_keys set name = $3, expires_at = $4, revoked_at = $5, version = $6, updated_at = $7
		where tenant_id = $1 and id = $2`,
		after.TenantID, after.ID, after.Name, after.ExpiresAt, after.RevokedAt, after.Version, now)
	if err != nil {
		return err
	}
	action := "api_key.updated"
	if before.RevokedAt == nil && after.RevokedAt != nil {
		action = "api_key.revoked"
	}
	return tellAct(tx, scope, now, action, "api_key", after.ID, after.Version, changes...)
}

// timeOf is the time as an audit entry tells it, nil where there is none.
func timeOf(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// RotateKey saves a key's successor, and the end of the key itself.
func (i *Identity) RotateKey(ctx context.Context, scope tenancy.Scope, id tenancy.ID, now time.Time, tokenHash []byte,
	rotate func(*apikeys.Key) (apikeys.Key, error),
) (next apikeys.Key, err error) {
	err = i.db.InTx(ctx, scope, func(ctx context.Context) error {
		tx := i.db.Scoped(ctx, scope)
		before, err := keyRows().find(tx, scope.Tenant, id, " for no key update")
		if err != nil {
			return err
		}
		after := before
		if next, err = rotate(&after); err != nil {
			return err
		}
		if err := updateKey(tx, scope, before, &after, now); err != nil {
			return err
		}
		if err := insertKey(tx, next, tokenHash); err != nil {
			return err
		}
		if err := tellAct(tx, scope, now, "api_key.rotated", "api_key", next.ID, next.Version,
			audit.Change{Field: "rotated_from", To: id.String()}); err != nil {
			return err
		}
		return i.mail(ctx, scope.AsSystem(scope.Tenant), notices.APIKeyCreated{KeyID: next.ID})
	})
	return next, translate(err)
}

// FindKeyByToken returns the key of a token's hash, or one without an id.
func (i *Identity) FindKeyByToken(ctx context.Context, tokenHash []byte) (apikeys.Key, error) {
	k, _, err := one(i.db.control(ctx), readKey, selectKeys+" where k.token_hash = $1", tokenHash)
	return k, translate(err)
}

// TouchKeys notes when keys were used last, in one statement.
func (i *Identity) TouchKeys(ctx context.Context, used []apikeys.Used) error {
	tenants, keys, times := make([]string, len(used)), make([]string, len(used)), make([]time.Time, len(used))
	for n, u := range used {
		tenants[n], keys[n], times[n] = u.Tenant.String(), u.Key.String(), u.At
	}
	_, err := affect(i.db.control(ctx), `
		update api_keys k set last_used_at = used.at
		  from unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::timestamptz[]) as used (tenant_id, id, at)
		 where k.tenant_id = used.tenant_id and k.id = used.id and (k.last_used_at is null or k.last_used_at < used.at)`,
		tenants, keys, times)
	return translate(err)
}
