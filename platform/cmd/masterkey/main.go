// Command masterkey makes and rotates the master key that seals secrets in the database. It prints the key and
// nothing else to standard output, for a secret store or a file; it keeps nothing.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/groundwork-saas/groundwork/platform/build"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

const usage = `masterkey makes and rotates MASTER_KEY.

  masterkey new       print a new master key
  masterkey rotate    print the present one with a fresh key that seals from now on; the old ones still open
  masterkey stage     print the present one with a fresh key that only opens yet
  masterkey promote   print the present one with its newest key sealing from now on
  masterkey version   print which build this is

rotate, stage and promote read the present one from MASTER_KEY, or from the file that MASTER_KEY_FILE names.
Where several processes run at a time: stage, give the result to all of them, promote, give the result to all of them.
`

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// run returns the exit code: 0 done, 1 it went wrong, 2 it was asked wrongly.
func run(args, environ []string, stdout, stderr io.Writer) int {
	act := ""
	if len(args) == 1 {
		act = args[0]
	}
	changes := map[string]func(string) (string, error){"rotate": seal.Rotate, "stage": seal.Stage, "promote": seal.Promote}
	change, known := changes[act]
	switch {
	case act == "help" || act == "-h" || act == "--help":
		return finish(stdout, stderr, usage, nil)
	case act == "new":
		key, err := seal.NewMasterKey()
		return finish(stdout, stderr, key+"\n", err)
	case act == "version":
		return finish(stdout, stderr, build.Read().String()+"\n", nil)
	case !known:
		_, _ = io.WriteString(stderr, usage)
		return 2
	}
	var settings struct {
		MasterKey config.Secret `env:"MASTER_KEY" required:"true" help:"the present master key"`
	}
	if err := config.Load(&settings, nil, environ); err != nil {
		return finish(stdout, stderr, "", err)
	}
	key, err := change(settings.MasterKey.Reveal())
	return finish(stdout, stderr, key+"\n", err)
}

func finish(stdout, stderr io.Writer, text string, err error) int {
	if err == nil {
		_, err = io.WriteString(stdout, text)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "masterkey:", err)
		return 1
	}
	return 0
}
