// Command testreport reads `go test -json` and shows what a person wants to see of it: each package's line as it ends,
// the whole output of what failed, and at the end how many tests passed, failed and were skipped. `make verify` pipes
// the tests through it; with -no-skips a skipped test fails, since a check that did not run has proved nothing.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	noSkips := flag.Bool("no-skips", false, "fail when a test was skipped")
	flag.Parse()
	r := newReport(os.Stdout)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	r.summarise()
	if r.failed() || *noSkips && len(r.skipped) > 0 {
		os.Exit(1)
	}
}
