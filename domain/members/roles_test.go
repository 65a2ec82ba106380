package members_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/groundwork-saas/groundwork/domain/members"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	roles := members.NewRoles([]string{"customers:read", "customers:write", "customers:delete", "orders:read", "orders:backfill"})

	t.Run("derive_from_the_resources", func(t *testing.T) {
		t.Parallel()
		everything := []string{
			"api_keys:read", "api_keys:write", "audit:read", "connectors:read", "connectors:write", "customers:delete", "customers:read", "customers:write",
			"files:delete", "files:read", "files:write", "jobs:read", "jobs:write", "members:read", "members:write", "orders:backfill", "orders:read",
			"reports:read", "reports:write", "tenant:read", "tenant:write", "webhooks:read", "webhooks:write",
		}
		assert.Equal(t, everything, roles.Permissions(members.Owner))
		assert.Equal(t, everything, roles.Permissions(members.Admin))
		assert.Equal(t, []string{
			"customers:delete", "customers:read", "customers:write", "files:delete", "files:read", "files:write", "jobs:read", "jobs:write",
			"members:read", "orders:read", "reports:read", "reports:write", "tenant:read",
		}, roles.Permissions(members.Member))
		assert.Equal(t, []string{"customers:read", "files:read", "jobs:read", "members:read", "orders:read", "reports:read", "tenant:read"}, roles.Permissions(members.Viewer))
		assert.Empty(t, roles.Permissions("king"))
		assert.Len(t, roles.List(), 4)
	})
	t.Run("resolve_scopes_to_what_there_is_now", func(t *testing.T) {
		t.Parallel()
		scopes := []string{"customers:read", "gone:read"}
		assert.Equal(t, []string{"customers:read"}, roles.Resolve(scopes))
		assert.Equal(t, []string{"customers:read", "gone:read"}, scopes, "what is given stays as it is")
		assert.Equal(t, roles.Permissions(members.Admin), roles.Resolve([]string{"customers:read", members.AllScopes}))
		assert.False(t, roles.Has("gone:read"))
		assert.False(t, roles.Has(members.AllScopes))
	})
}
