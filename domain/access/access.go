// Package access owns whether somebody may still have done what they asked for earlier.
//
// A request proves its access in its own statements; a job, and a link, act later and without a credential. They name who
// asked, and this package says what that user or key may do now: the tenant active, the membership there, the account not
// disabled, the key live, the permission held. Whether a session lives does not matter: who asks for an export may sign out.
// The package decides about jobs and links alone, and never lets anybody in.
package access

import (
	"context"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Asker is who asked. The zero value, and the system, may all that an active tenant may.
type Asker struct {
	Kind tenancy.ActorKind
	ID   tenancy.ID
}

// Of is the actor of a scope.
func Of(scope tenancy.Scope) Asker { return Asker{Kind: scope.Actor.Kind, ID: scope.Actor.ID} }

// isSystem says whether nobody asked.
func (a Asker) isSystem() bool { return a.Kind == tenancy.System || a.Kind == "" }

// Standing is what is known of an asker now.
type Standing struct {
	// IsActive says that the tenant is.
	IsActive bool
	// Role is a member's, "" for who is none; IsDisabled says that the account is.
	Role       string
	IsDisabled bool
	// Scopes are a key's; nil for none that is there.
	Scopes    []string
	IsRevoked bool
	ExpiresAt *time.Time
}

// Store knows how things stand.
type Store interface {
	// FindStanding returns how an asker stands in the scope's tenant, in the transaction of ctx where it has one.
	FindStanding(ctx context.Context, scope tenancy.Scope, asker Asker) (Standing, error)
	// NoteRefusal writes into the audit that a job was not done.
	NoteRefusal(ctx context.Context, scope tenancy.Scope, refusal Refusal) error
}

// Refusal is a job that was not done, since who asked may not have it done any more.
type Refusal struct {
	Job    tenancy.ID
	Kind   string
	Asker  Asker
	Reason string
	At     time.Time
}

// Rights answers what askers may do now.
type Rights struct {
	store Store
	roles *members.Roles
	now   func() time.Time
}

// NewRights returns it over a store.
func NewRights(store Store, roles *members.Roles, now func() time.Time) *Rights {
	return &Rights{store: store, roles: roles, now: now}
}

// Check says whether the asker holds the permissions now: nil, or Forbidden "access_lost" with what was taken away.
func (r *Rights) Check(ctx context.Context, scope tenancy.Scope, asker Asker, permissions ...string) error {
	now, err := r.store.FindStanding(ctx, scope, asker)
	if err != nil {
		return err
	}
	if reason := r.lacks(now, asker, permissions); reason != "" {
		return fault.New(fault.Forbidden, "access_lost", reason)
	}
	return nil
}

// IsLost says whether an error is that of Check.
func IsLost(err error) bool { return fault.Is(err, "access_lost") }

// lacks says what an asker lacks; "" for nothing.
func (r *Rights) lacks(now Standing, asker Asker, permissions []string) string {
	if !now.IsActive {
		return "The organization is suspended; ask again when it is active."
	}
	var held []string
	switch {
	case asker.isSystem():
		return ""
	case asker.Kind == tenancy.APIKey && now.Scopes == nil:
		return "The API key that asked for it is gone; ask with another one."
	case asker.Kind == tenancy.APIKey && now.IsRevoked:
		return "The API key that asked for it was revoked; ask with another one."
	case asker.Kind == tenancy.APIKey && now.ExpiresAt != nil && !r.now().Before(*now.ExpiresAt):
		return "The API key that asked for it has expired; ask with another one."
	case asker.Kind == tenancy.APIKey:
		held = r.roles.Resolve(now.Scopes)
	case now.Role == "":
		return "Who asked for it is no member of the organization any more; somebody who is can ask again."
	case now.IsDisabled:
		return "The account of who asked for it is disabled; somebody else can ask again."
	default:
		held = r.roles.Permissions(now.Role)
	}
	actor := tenancy.Actor{Kind: asker.Kind, Permissions: held}
	for _, permission := range permissions {
		if !actor.May(permission) {
			return fmt.Sprintf("It needs the permission %s, which who asked for it does not have any more; somebody who has it can ask again.", permission)
		}
	}
	return ""
}

// Settle is what becomes of a job that ended with err: where the asker's access was lost the audit says so, and no other
// attempt is made. Any other error, and nil, stay as they are.
func (r *Rights) Settle(ctx context.Context, run *jobs.Run, asker Asker, err error) error {
	if !IsLost(err) {
		return err
	}
	f, _ := fault.As(err)
	noted := r.store.NoteRefusal(ctx, run.Scope, Refusal{
		Job: run.Job.ID, Kind: run.Job.Kind, Asker: asker, Reason: f.Detail, At: r.now().UTC().Truncate(time.Microsecond),
	})
	if noted != nil {
		return noted // the next attempt finds the same, and notes it
	}
	return jobs.Permanent(err)
}
