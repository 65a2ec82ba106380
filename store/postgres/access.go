package postgres

import (
	"context"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

var _ access.Store = (*Identity)(nil)

// FindStanding returns what is true now of who asked for something earlier.
func (i *Identity) FindStanding(ctx context.Context, scope tenancy.Scope, asker access.Asker) (access.Standing, error) {
	var user, key tenancy.ID
	switch asker.Kind {
	case tenancy.User:
		user = asker.ID
	case tenancy.APIKey:
		key = asker.ID
	case tenancy.System:
	}
	type row struct {
		access.Standing

		scopes *string
	}
	found, _, err := one(i.db.Scoped(ctx, tenancy.AsSystem(scope.Tenant, scope.RequestID)), func(r scanner) (s row, err error) {
		return s, r.Scan(&s.IsActive, &s.Role, &s.IsDisabled, &s.scopes, &s.IsRevoked, &s.ExpiresAt)
	}, `select t.state = 'active', coalesce(m.role, ''), coalesce(u.state <> 'active', false),
		   k.scopes::text, k.revoked_at is not null, k.expires_at
		  from tenants t
		  left join memberships m on m.tenant_id = t.id and m.user_id = $2
		  left join users u on u.id = m.user_id
		  left join api_keys k on k.tenant_id = t.id and k.id = $3
		 where t.id = $1`, scope.Tenant, nullable(user), nullable(key))
	if err == nil && found.scopes != nil {
		found.Scopes, err = parseTextList(*found.scopes)
	}
	return found.Standing, translate(err)
}

// NoteRefusal writes into the audit that a job was not done.
func (i *Identity) NoteRefusal(ctx context.Context, scope tenancy.Scope, r access.Refusal) error {
	return translate(i.db.InTx(ctx, scope, func(ctx context.Context) error {
		return tellAct(i.db.Scoped(ctx, scope), scope, r.At, "job.refused", "job", r.Job, 0,
			audit.Change{Field: "kind", From: r.Kind, To: r.Kind},
			audit.Change{Field: "asked_by", From: r.Asker.ID.String(), To: r.Asker.ID.String()},
			audit.Change{Field: "reason", To: r.Reason})
	}))
}
