// Package config reads a process's settings from its environment and its command line.
//
// A process declares its settings as a struct whose tags say everything about them; Load fills it, Describe lists it
// and WriteHelp prints it, so that what is read, what is documented and what --help says cannot differ. Only cmd/
// packages call it. It reads no settings file, keeps nothing after Load, and never puts the value of a Secret into
// an error or a help text.
//
// The tags of a field:
//
//	env:"NAME"          the variable; a Secret may also come from the file that NAME_FILE names
//	flag:"name"         the command-line flag, which wins over the variable
//	help:"…"            what it means, with its unit where the type does not say it
//	default:"…"         the value where neither is set; an empty variable counts as unset
//	required:"true"     there is no default and the process cannot start without it
//	oneof:"a b"         the only values taken
//	schemes:"a b"       the value is a URL with one of these schemes
//	min:"…" max:"…"     the bounds, in the form of the value itself
//
// Types: string, Secret, bool, int, int64, float64, time.Duration, Size, Rate, Address, netip.Prefix (a bare address
// is a prefix of one), whatever implements encoding.TextUnmarshaler, and slices of these, separated by commas.
// Embedded structs are read as if their fields stood in the outer one.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrHelp is what Load returns where --help or -h was asked for; nothing was read.
var ErrHelp = flag.ErrHelp

// Problem is one setting that keeps the process from starting.
type Problem struct {
	// Name is the variable ("DATABASE_URL") or the flag ("--queues").
	Name string
	// Detail says what is wrong and what would be right. It never holds a secret.
	Detail string
}

// Errors is every problem found by one Load.
type Errors []Problem

// Error lists the problems, one a line.
func (e Errors) Error() string {
	var b strings.Builder
	b.WriteString("the configuration is not valid (--help lists every setting):")
	for _, problem := range e {
		fmt.Fprintf(&b, "\n  %s: %s", problem.Name, problem.Detail)
	}
	return b.String()
}

// Checker is implemented by a settings struct that has rules across fields. Load calls it last; a problem with a
// setting that already has one is left out.
type Checker interface{ Check() []Problem }

// Load fills cfg, a pointer to a struct, from args (without the program's name) and environ ("NAME=value", as
// os.Environ gives it). It returns ErrHelp, or Errors with everything that is wrong at once. It panics where the
// struct itself is wrong: that is found by any test that loads it.
func Load(cfg any, args, environ []string) error {
	fields := fieldsOf(cfg)
	variables := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}
	flags, problems := parseArgs(fields, args)
	if flags == nil {
		return ErrHelp
	}

	wrong := make(map[string]bool)
	for _, f := range fields {
		raw, source, err := f.lookUp(flags, variables)
		switch {
		case err != nil:
		case raw == "" && f.Required:
			err = errors.New(f.missing())
		case raw != "":
			err = f.set(raw)
		}
		if err != nil {
			problems = append(problems, Problem{Name: source, Detail: err.Error()})
			wrong[source], wrong[f.Name] = true, true
		}
	}
	if checker, ok := cfg.(Checker); ok {
		for _, problem := range checker.Check() {
			if !wrong[problem.Name] {
				problems = append(problems, problem)
			}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// Variable is what there is to know about one setting.
type Variable struct {
	Name     string // the environment variable; "" where there is a flag only
	Flag     string // the flag without its dashes; "" where there is none
	Help     string // what it means
	Kind     string // the form of its value: "duration (30s, 15m, 2h)"
	Default  string // "" where there is none
	Required bool
	Secret   bool // it may also be given as Name + "_FILE"
}

// Describe lists the settings of cfg, a pointer to a struct, in the order of its fields.
func Describe(cfg any) []Variable {
	fields := fieldsOf(cfg)
	list := make([]Variable, len(fields))
	for i, f := range fields {
		list[i] = f.Variable
	}
	return list
}

// WriteHelp writes what the program is and a table of every setting of cfg.
func WriteHelp(w io.Writer, program, summary string, cfg any) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nSettings (environment variables; a flag wins over its variable):\n", program, summary)
	for _, v := range Describe(cfg) {
		names := make([]string, 0, 3)
		if v.Flag != "" {
			names = append(names, "--"+v.Flag)
		}
		if v.Name != "" {
			names = append(names, v.Name)
		}
		if v.Secret {
			names = append(names, v.Name+"_FILE")
		}
		fallback := "optional"
		switch {
		case v.Required:
			fallback = "required"
		case v.Default != "":
			fallback = "default " + v.Default
		}
		fmt.Fprintf(&b, "\n  %s\n      %s\n      %s; %s\n", strings.Join(names, ", "), v.Help, v.Kind, fallback)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// parseArgs returns the flags that were given, by name; nil where help was asked for.
func parseArgs(fields []field, args []string) (map[string]string, Errors) {
	known := make(map[string]field)
	for _, f := range fields {
		if f.Flag != "" {
			known[f.Flag] = f
		}
	}
	given := make(map[string]string)
	var problems Errors
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		f, ok := known[name]
		switch {
		case !strings.HasPrefix(arg, "-") || name == "":
			problems = append(problems, Problem{Name: quote(arg), Detail: "unexpected argument; settings are flags and environment variables"})
			continue
		case name == "help" || name == "h":
			return nil, nil
		case !ok:
			problems = append(problems, Problem{Name: "--" + name, Detail: "unknown flag; remove it, or see --help for those there are"})
			continue
		case hasValue:
		case f.isBool():
			value = "true"
		case i+1 < len(args) && !strings.HasPrefix(args[i+1], "--"):
			i++
			value = args[i]
		}
		if value == "" {
			problems = append(problems, Problem{Name: "--" + name, Detail: "has no value; give " + f.Kind})
			continue
		}
		given[name] = value
	}
	return given, problems
}

// lookUp finds the field's value in its flag, its variable, its file, its default; "" where it has none. The source
// is the name to blame.
func (f *field) lookUp(flags, variables map[string]string) (raw, source string, err error) {
	source = f.Name
	if source == "" {
		source = "--" + f.Flag
	}
	if value, ok := flags[f.Flag]; ok && f.Flag != "" {
		return value, "--" + f.Flag, nil
	}
	raw = variables[f.Name]
	if path := variables[f.Name+"_FILE"]; f.Secret && path != "" {
		if raw != "" {
			return "", source, fmt.Errorf("%s_FILE is set as well; set one of them", f.Name)
		}
		raw, err = readSecret(path)
		return raw, f.Name + "_FILE", err
	}
	if raw == "" {
		raw = f.Default
	}
	return raw, source, nil
}

// missing says how to give a required setting.
func (f *field) missing() string {
	switch {
	case f.Secret:
		return fmt.Sprintf("is required; set it, or %s_FILE to a file that holds it (%s)", f.Name, f.Help)
	case f.Name == "":
		return fmt.Sprintf("is required; give %s (%s)", f.Kind, f.Help)
	default:
		return fmt.Sprintf("is required; set it to %s (%s)", f.Kind, f.Help)
	}
}

// maxSecret bounds a secret's file, in bytes: a path to a log or a device is a mistake to name, not to read.
const maxSecret = 64 << 10

// readSecret reads a secret's file without the line break that editors leave at its end.
func readSecret(path string) (string, error) {
	file, err := os.Open(path) //nolint:gosec // whoever runs the process says where its secrets are
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	switch value := strings.TrimRight(string(content), "\r\n"); {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", err)
	case len(content) > maxSecret:
		return "", fmt.Errorf("%s holds more than %d bytes and is no secret", quote(path), maxSecret)
	case value == "":
		return "", fmt.Errorf("%s is empty", quote(path))
	default:
		return value, nil
	}
}
