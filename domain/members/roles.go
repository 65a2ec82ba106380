package members

import (
	"slices"
	"strings"
)

// The roles, from the most powerful to the least.
const (
	Owner  = "owner"
	Admin  = "admin"
	Member = "member"
	Viewer = "viewer"
)

// AllScopes stands in an API key's scopes for whatever an admin may do at the time of use.
const AllScopes = "*"

// The permissions that do not belong to a resource.
const (
	TenantRead   = "tenant:read"
	TenantWrite  = "tenant:write"
	MembersRead  = "members:read"
	MembersWrite = "members:write"
	KeysRead     = "api_keys:read"
	KeysWrite    = "api_keys:write"
	AuditRead    = "audit:read"
	JobsRead     = "jobs:read"
	JobsWrite    = "jobs:write"
	FilesRead    = "files:read"
	FilesWrite   = "files:write"
	FilesDelete  = "files:delete"
	// WebhooksRead and WebhooksWrite are about both directions: endpoints and deliveries, sources and inbound events.
	WebhooksRead  = "webhooks:read"
	WebhooksWrite = "webhooks:write"
	// ConnectorsRead and ConnectorsWrite are about connectors; what they do to records takes the records' permissions, too.
	ConnectorsRead  = "connectors:read"
	ConnectorsWrite = "connectors:write"
	ReportsRead     = "reports:read"
	ReportsWrite    = "reports:write"
)

// Role is a role and what it may do.
type Role struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Permissions []string `json:"permissions"`
}

// Roles is what each role may do. It is built once, from what the product's resources are, and never changes.
type Roles struct {
	roles []Role
	all   []string
}

// NewRoles derives the roles from the permissions of the resources, such as "customers:read". A viewer reads, a member
// reads, writes and deletes records, an admin may all; an owner may all and decides who else is an owner.
func NewRoles(resources []string) *Roles {
	all := append([]string{
		TenantRead, TenantWrite, MembersRead, MembersWrite, KeysRead, KeysWrite, AuditRead,
		JobsRead, JobsWrite, WebhooksRead, WebhooksWrite, FilesRead, FilesWrite, FilesDelete,
		ConnectorsRead, ConnectorsWrite,
		ReportsRead, ReportsWrite,
	}, resources...)
	slices.Sort(all)
	all = slices.Compact(all)

	viewer := []string{TenantRead, MembersRead, JobsRead, FilesRead, ReportsRead}
	member := []string{TenantRead, MembersRead, JobsRead, JobsWrite, FilesRead, FilesWrite, FilesDelete, ReportsRead, ReportsWrite}
	for _, permission := range resources {
		switch _, verb, _ := strings.Cut(permission, ":"); verb {
		case "read":
			viewer, member = append(viewer, permission), append(member, permission)
		case "write", "delete":
			member = append(member, permission)
		}
	}
	slices.Sort(viewer)
	slices.Sort(member)
	return &Roles{all: all, roles: []Role{
		{Owner, "May do all, and decides who else is an owner.", all},
		{Admin, "May do all but make or unmake owners.", all},
		{Member, "Works with the organization's records.", slices.Compact(member)},
		{Viewer, "Reads the organization's records.", slices.Compact(viewer)},
	}}
}

// List returns the roles, the most powerful first. The caller must not alter them.
func (r *Roles) List() []Role { return r.roles }

// Permissions returns what a role may do; nothing where there is no such role. The caller must not alter it.
func (r *Roles) Permissions(role string) []string {
	for i := range r.roles {
		if r.roles[i].Name == role {
			return r.roles[i].Permissions
		}
	}
	return nil
}

// Has says whether there is such a permission.
func (r *Roles) Has(permission string) bool {
	_, found := slices.BinarySearch(r.all, permission)
	return found
}

// Resolve returns what a key with the scopes may do now: permissions that are gone are left out, and AllScopes is
// what an admin may do.
func (r *Roles) Resolve(scopes []string) []string {
	if slices.Contains(scopes, AllScopes) {
		return r.Permissions(Admin)
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !r.Has(scope) })
}
