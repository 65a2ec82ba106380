// Package tenancy says on whose behalf something is done.
//
// A Scope is an argument of every domain call: the tenant whose data it is about, who acts, and the request that
// caused it. The store turns it into a predicate on each statement and a setting on each connection. The package
// owns identifiers too, since every one of them is a tenant's or names one.
package tenancy

import (
	"slices"
)

// Scope is the tenant that a call is about, who acts in it, and the request that caused it.
type Scope struct {
	Tenant    ID
	Actor     Actor
	RequestID string
	// Trace is what the request is part of elsewhere; "" for none.
	Trace Trace
}

// ActorKind is what sort of thing acts.
type ActorKind string

// The actors. A user acts through a session, a key on its own, the system through jobs and schedules.
const (
	User   ActorKind = "user"
	APIKey ActorKind = "api_key"
	System ActorKind = "system"
)

// Actor is who acts. Its permissions are what was true when the credential was read: the store proves in the
// statement's own round trip that Version still stands.
type Actor struct {
	Kind ActorKind
	// ID is the user's or the key's; zero for the system.
	ID ID
	// Session is the session a user acts through; zero otherwise.
	Session ID
	// Version is the membership's or the key's; it changes whenever what the actor may do changes.
	Version int64
	// Role is a user's role in the tenant; "" otherwise.
	Role string
	// Permissions are what the actor may do, such as "customers:write".
	Permissions []string
}

// SystemTenant owns what belongs to no tenant: system jobs, mails about a user's account.
//
//nolint:gochecknoglobals // a constant that Go cannot spell as one
var SystemTenant = MustParseID("00000000-0000-7000-8000-000000000000")

// AsSystem returns the scope in which the system itself acts for a tenant.
func AsSystem(tenant ID, requestID string) Scope {
	return Scope{Tenant: tenant, Actor: Actor{Kind: System}, RequestID: requestID}
}

// AsSystem returns the scope in which the system acts for a tenant because of what this scope is about.
func (s Scope) AsSystem(tenant ID) Scope {
	system := AsSystem(tenant, s.RequestID)
	system.Trace = s.Trace
	return system
}

// May says whether the actor holds the permission. The system may all.
func (a Actor) May(permission string) bool {
	return a.Kind == System || slices.Contains(a.Permissions, permission)
}
