package stand

import (
	"bytes"
	"io"
	"maps"
	"sync"
)

// Tally counts attempts by what became of them, as the workers' logs have it: a state, "lost", "returned" or "unsaved".
type Tally struct {
	mu     sync.Mutex
	states map[string]int
}

// States are the counts.
func (t *Tally) States() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.states)
}

// Clear forgets what was counted.
func (t *Tally) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.states)
}

func (t *Tally) count(state string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.states == nil {
		t.states = map[string]int{}
	}
	t.states[state]++
}

// output keeps what a process says and counts its attempts.
type output struct {
	file  io.Writer
	tally *Tally
	rest  []byte // of a line that has not ended
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.rest = append(o.rest, b...)
	for {
		line, rest, ended := bytes.Cut(o.rest, []byte("\n"))
		if !ended {
			break
		}
		o.read(line)
		o.rest = rest
	}
	o.rest = bytes.Clone(o.rest)
	return o.file.Write(b) //nolint:wrapcheck // io.Writer's
}

// read counts a line that tells of an attempt.
func (o *output) read(line []byte) {
	if !bytes.Contains(line, []byte(`"message":"job"`)) {
		return
	}
	_, after, found := bytes.Cut(line, []byte(`"state":"`))
	if state, _, ended := bytes.Cut(after, []byte(`"`)); found && ended {
		o.tally.count(string(state))
	}
}
