// Command rename gives a clone its own module path: `make rename MODULE=github.com/acme/shop`. It rewrites the path in
// every text file that git tracks (or would), leaves the licence and the history of changes alone, and touches
// neither git's own data nor anything outside the checkout. Run again with the same path it changes nothing.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 || os.Args[1] == "" || os.Args[1] == "-h" || os.Args[1] == "--help" {
		fmt.Fprintln(os.Stderr, "usage: rename MODULE, such as github.com/acme/shop (or: make rename MODULE=github.com/acme/shop)")
		os.Exit(2)
	}
	changed, err := rename(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1)
	}
	fmt.Printf("%d files now say %s; see `git diff`, then run `make verify`\n", changed, os.Args[1])
}
