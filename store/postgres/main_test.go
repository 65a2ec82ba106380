package postgres

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/groundwork-saas/groundwork/store/sqltest"
)

// TestMain runs the tests, and then has everything that they sent parsed: each statement must hold each tenant's table
// to one tenant by itself. A run of some tests only (-run, -short) leaves that out.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && !testing.Short() && flag.Lookup("test.run").Value.String() == "" {
		offences, looked := sqltest.Sent.Offences()
		switch {
		case len(offences) > 0:
			fmt.Fprintf(os.Stderr, "--- FAIL: %d statements that the tests sent do not name the tenant\n%s\n",
				len(offences), strings.Join(offences, "\n"))
			code = 1
		case looked < 100:
			fmt.Fprintf(os.Stderr, "--- FAIL: the tests sent %d statements only: nothing is recorded\n", looked)
			code = 1
		}
	}
	os.Exit(code)
}
