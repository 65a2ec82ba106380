package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output string
}

// report follows the events of many packages at once.
type report struct {
	out      io.Writer
	buffered map[[2]string][]byte // what a test has said so far; kept until it is known to matter
	passed   int
	broken   []string // tests and packages that failed
	skipped  []string // with the reason that each gave
	packages int
}

func newReport(out io.Writer) *report {
	return &report{out: out, buffered: map[[2]string][]byte{}}
}

func (r *report) failed() bool { return len(r.broken) > 0 || r.packages == 0 }

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				r.add(e)
			} else {
				fmt.Fprintf(r.out, "%s", line) // the go command's own words
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the events: %w", err)
		}
	}
}

func (r *report) add(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.output(e, key)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e, key)
		} else {
			r.endTest(e, key)
		}
		delete(r.buffered, key)
	}
}

func (r *report) output(e event, key [2]string) {
	if e.Test == "" && (strings.HasPrefix(e.Output, "ok  \t") || strings.HasPrefix(e.Output, "FAIL\t")) {
		fmt.Fprint(r.out, e.Output)
		return
	}
	r.buffered[key] = append(r.buffered[key], e.Output...)
}

func (r *report) endTest(e event, key [2]string) {
	name := e.Package + " " + e.Test
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.broken = append(r.broken, name)
		fmt.Fprintf(r.out, "%s", r.buffered[key])
	case "skip":
		r.skipped = append(r.skipped, name+": "+reason(string(r.buffered[key])))
	}
}

func (r *report) endPackage(e event, key [2]string) {
	if e.Action == "skip" {
		return // it has no tests
	}
	r.packages++
	if e.Action != "fail" {
		return
	}
	r.broken = append(r.broken, e.Package)
	for open, text := range r.buffered { // what ran when the package died
		if open[0] == e.Package && open[1] != "" {
			fmt.Fprintf(r.out, "%s", text)
			delete(r.buffered, open)
		}
	}
	fmt.Fprintf(r.out, "%s", r.buffered[key])
}

// reason is what a skipped test said, without the frame that go puts around it.
func reason(said string) string {
	var kept []string
	for line := range strings.SplitSeq(said, "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, " ")
}

func (r *report) summarise() {
	for _, name := range r.broken {
		fmt.Fprintln(r.out, "FAILED ", name)
	}
	for _, name := range r.skipped {
		fmt.Fprintln(r.out, "SKIPPED", name)
	}
	if r.packages == 0 {
		fmt.Fprintln(r.out, "no package was tested")
	}
	fmt.Fprintf(r.out, "%d packages: %d tests passed, %d failed, %d skipped\n", r.packages, r.passed, len(r.broken), len(r.skipped))
}
