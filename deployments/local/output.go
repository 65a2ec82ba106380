package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// terminal is what the developer looks at; several write to it, a line at a time.
type terminal struct {
	mu sync.Mutex
	w  io.Writer
}

func newTerminal(w io.Writer) *terminal { return &terminal{w: w} }

// say prints a line of our own.
func (t *terminal) say(format string, args ...any) {
	t.print([]byte(fmt.Sprintf("%-9s | ", "local") + fmt.Sprintf(format, args...) + "\n"))
}

// print writes what stays together. That the terminal is gone is no reason to stop.
func (t *terminal) print(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = t.w.Write(b)
}

// output is what a process says: line by line to the terminal with the process's name in front, as it is to its log, and
// the end of it kept for when something goes wrong.
type output struct {
	to   *terminal
	name string
	log  io.Writer

	mu      sync.Mutex
	partial []byte
	lines   []string
}

func newOutput(to *terminal, name string, log io.Writer) *output {
	return &output{to: to, name: name, log: log}
}

// Write takes what a process says. It never fails: a process is not stopped because its log cannot be written.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.log.Write(b)
	o.partial = append(o.partial, b...)
	const longest = 64 << 10
	for {
		line, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found && len(o.partial) < longest {
			return len(b), nil
		}
		o.keep(string(line))
		o.to.print(fmt.Appendf(nil, "%-9s | %s\n", o.name, line))
		o.partial = append([]byte(nil), rest...)
	}
}

func (o *output) keep(line string) {
	const most = 15
	o.lines = append(o.lines, line)
	if len(o.lines) > most {
		o.lines = o.lines[1:]
	}
}

// last returns the last lines.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := o.lines
	if len(o.partial) > 0 {
		lines = append(lines[:len(lines):len(lines)], string(o.partial))
	}
	return strings.Join(lines, "\n")
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
