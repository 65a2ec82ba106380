package postgres

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
)

var _ tenants.Store = (*Identity)(nil)

// FindTenant returns the scope's tenant.
func (i *Identity) FindTenant(ctx context.Context, scope tenancy.Scope) (tenants.Tenant, error) {
	t, found, err := one(i.db.Scoped(ctx, scope), readTenant,
		"select "+tenantColumns+" from tenants t where t.id = $1", scope.Tenant)
	if err == nil && !found {
		err = notFound("tenant.not_found", "organization")
	}
	return t, translate(err)
}

// ChangeTenant changes the scope's tenant.
func (i *Identity) ChangeTenant(ctx context.Context, scope tenancy.Scope, now time.Time,
	change func(*tenants.Tenant) error,
) (tenants.Tenant, error) {
	return i.changeTenant(ctx, managed(scope), scope, "tenant.updated", now, change)
}

// SetTenantState suspends or resumes a tenant. Its next statement is refused by check_access, on every replica.
func (i *Identity) SetTenantState(ctx context.Context, scope tenancy.Scope, state tenants.State, now time.Time,
) (tenants.Tenant, error) {
	action := "tenant.resumed"
	if state == tenants.Suspended {
		action = "tenant.suspended"
	}
	return i.changeTenant(ctx, controlSession(&scope.Tenant), scope, action, now, func(t *tenants.Tenant) error {
		t.State = state
		return nil
	})
}

func (i *Identity) changeTenant(ctx context.Context, s *session, scope tenancy.Scope, action string, now time.Time,
	change func(*tenants.Tenant) error,
) (after tenants.Tenant, err error) {
	err = i.db.inTx(ctx, s, nil, func(ctx context.Context) error {
		tx := i.db.with(ctx, s)
		before, found, err := one(tx, readTenant,
			"select "+tenantColumns+" from tenants t where t.id = $1 for no key update", scope.Tenant)
		if err != nil {
			return err
		}
		if !found {
			return notFound("tenant.not_found", "organization")
		}
		after = before
		if err := change(&after); err != nil {
			return err
		}
		changes := differences(
			audit.Change{Field: "name", From: before.Name, To: after.Name},
			audit.Change{Field: "time_zone", From: before.TimeZone, To: after.TimeZone},
			audit.Change{Field: "state", From: before.State, To: after.State},
		)
		if len(changes) == 0 {
			return nil
		}
		after.Version, after.UpdatedAt = before.Version+1, now
		if err := Defer(tx, "update tenants set name = $2, time_zone = $3, state = $4, version = $5, updated_at = $6 where id = $1",
			after.ID, after.Name, after.TimeZone, string(after.State), after.Version, after.UpdatedAt); err != nil {
			return err
		}
		return tellAct(tx, scope, now, action, "tenant", after.ID, after.Version, changes...)
	})
	return after, translate(err)
}

// differences keeps the changes that change something.
func differences(changes ...audit.Change) []audit.Change {
	var kept []audit.Change
	for _, c := range changes {
		if c.From != c.To {
			kept = append(kept, c)
		}
	}
	return kept
}
