package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// The exit codes, as the help lists them.
const (
	done = iota
	failed
	wrongUsage
)

// program is groundwork with what surrounds it.
type program struct {
	environ  []string
	out, err io.Writer
	now      func() time.Time
	// backfills are those that it knows; nil is the product's.
	backfills []postgres.Backfill
}

// command is one of the program's commands.
type command struct {
	// name is what it is called by, its group first: "jobs stats".
	name string
	// usage is what follows the name: "ID…".
	usage string
	// summary says in a line what it does; detail says what else there is to know, "" for nothing.
	summary, detail string
	// prepare declares the flags, and returns what is done once they are read. args are what is no flag.
	prepare func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error
}

func commands() []command {
	return slices.Concat(jobCommands(), queueCommands(), backfillCommands(), accountCommands())
}

// errUsage is a mistake of the person who called.
var errUsage = errors.New("wrong usage")

// usageError is errUsage with what was wrong.
func usageError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUsage, fmt.Errorf(format, args...))
}

// errReported is a failure that the command's output has told already.
var errReported = errors.New("not all of it was done")

func (p program) run(ctx context.Context, args []string) int {
	words := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return strings.HasPrefix(arg, "-") })
	chosen, name := find(words)
	if chosen == nil {
		return p.guide(words, args)
	}
	rest := withoutName(args, strings.Fields(name))
	err := p.do(ctx, *chosen, rest)
	switch {
	case err == nil:
		return done
	case errors.Is(err, flag.ErrHelp):
		chosen.help(p.out, p.flags(*chosen))
		return done
	case errors.Is(err, errReported):
		return failed
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	fmt.Fprintf(p.err, "groundwork: %s: %s\n", name, explain(err))
	if errors.Is(err, errUsage) {
		fmt.Fprintf(p.err, "See groundwork %s --help.\n", name)
		return wrongUsage
	}
	return failed
}

// do reads the flags, which may stand anywhere after the command's name, and does what it is for.
func (p program) do(ctx context.Context, c command, args []string) error {
	flags := p.flags(c)
	act := c.prepare(p, flags)
	var words []string
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return err
		} else if err != nil {
			return usageError("%w", err)
		}
		if flags.NArg() == 0 {
			return act(ctx, words)
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

func (p program) flags(c command) *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// guide helps whoever named no command: the list of them where that was asked for, else what is wrong.
func (p program) guide(words, args []string) int {
	isHelp := func(arg string) bool { return slices.Contains([]string{"help", "-h", "-help", "--help"}, arg) }
	group := ""
	if len(words) > 0 && slices.ContainsFunc(commands(), func(c command) bool { return strings.HasPrefix(c.name, words[0]+" ") }) {
		group, words = words[0], words[1:]
	}
	switch {
	case slices.ContainsFunc(args, isHelp):
		p.overview(p.out, group)
		return done
	case len(words) > 0:
		fmt.Fprintf(p.err, "groundwork: %v: there is no command %q\n\n", errUsage, strings.TrimSpace(group+" "+words[0]))
	default:
		fmt.Fprintf(p.err, "groundwork: %v: which command?\n\n", errUsage)
	}
	p.overview(p.err, group)
	return wrongUsage
}

// overview lists the commands, or those of a group.
func (p program) overview(w io.Writer, group string) {
	fmt.Fprint(w, "groundwork steers a running Groundwork: its jobs, queues, backfills, organizations and users.\n\nCommands:\n")
	t := newTable()
	for _, c := range commands() {
		if group == "" || strings.HasPrefix(c.name, group+" ") {
			t.row("  groundwork "+c.name, c.summary)
		}
	}
	t.write(w)
	fmt.Fprint(w, `
Each takes --help. --json writes JSON, for machines.

Environment (each may also be given as NAME_FILE, the path of a file that holds the value):
  DATABASE_URL          PostgreSQL as groundwork_app
  SYSTEM_DATABASE_URL   jobs: PostgreSQL as groundwork_system, which sees the jobs of all organizations

Exit codes: 0 done, 1 failed or not all of it done, 2 wrong usage.
`)
}

// help describes one command.
func (c command) help(w io.Writer, flags *flag.FlagSet) {
	c.prepare(program{}, flags)
	fmt.Fprintf(w, "groundwork %s: %s\n\nUsage: groundwork %s %s\n", c.name, c.summary, c.name, c.usage)
	if c.detail != "" {
		fmt.Fprintf(w, "\n%s\n", c.detail)
	}
	fmt.Fprint(w, "\nFlags:\n")
	t := newTable()
	flags.VisitAll(func(f *flag.Flag) {
		kind, text := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			text += " (default " + f.DefValue + ")"
		}
		t.row("  --"+strings.TrimSpace(f.Name+" "+kind), text)
	})
	t.write(w)
}

// find returns the command that the words begin with; nil where there is none.
func find(words []string) (*command, string) {
	for n := min(2, len(words)); n > 0; n-- {
		name := strings.Join(words[:n], " ")
		for _, c := range commands() {
			if c.name == name {
				return &c, name
			}
		}
	}
	return nil, ""
}

// withoutName takes the words of the command's name out of the arguments.
func withoutName(args, name []string) []string {
	var rest []string
	for _, arg := range args {
		if len(name) > 0 && arg == name[0] {
			name = name[1:]
			continue
		}
		rest = append(rest, arg)
	}
	return rest
}

// explain is an error for people: what a fault says rather than its code.
func explain(err error) string {
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
		return f.Detail
	}
	return err.Error()
}
