package intake_test

import (
	"testing"

	"github.com/groundwork-saas/groundwork/store/postgres"
)

// openSystem opens the database as the role that acts across tenants.
func openSystem(tb testing.TB, w *world) *postgres.DB {
	tb.Helper()
	return w.Open(tb, postgres.Config{URL: w.SystemURL})
}
