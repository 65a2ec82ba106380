package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// redisState is what a run notes for the next one.
type redisState struct {
	Port    int           `json:"port"`
	Process proc.Identity `json:"process"`
}

func (r *Redis) state() redisState {
	var s redisState
	b, err := os.ReadFile(filepath.Join(r.Dir, "state.json"))
	if err != nil || json.Unmarshal(b, &s) != nil {
		return redisState{}
	}
	return s
}

func (r *Redis) note(pid, port int) error {
	if r.Dir == "" {
		return nil
	}
	id, _ := proc.Identify(pid)
	b, err := json.Marshal(redisState{Port: port, Process: id})
	if err != nil {
		return fmt.Errorf("note Redis's port: %w", err)
	}
	if err := WriteFile(filepath.Join(r.Dir, "state.json"), b, 0o600); err != nil {
		return fmt.Errorf("note Redis's port: %w", err)
	}
	return nil
}

// lastPort is the port of the last run if it is free, else 0.
func (r *Redis) lastPort(ctx context.Context) int {
	if r.Dir == "" {
		return 0
	}
	port := r.state().Port
	if port == 0 || proc.IsFree(ctx, proc.Local(port)) != nil {
		return 0
	}
	return port
}

// endLeftover ends the server that an earlier run left over the directory. We hold the lock, so no living run owns it.
func (r *Redis) endLeftover(ctx context.Context) error {
	id := r.state().Process
	if !id.IsAlive() {
		return nil
	}
	r.Log("ending the Redis (process %d) that an earlier run left", id.Pid)
	return id.End(ctx, redisSteps()...)
}

// putAside moves data that Redis cannot read out of its way.
func (r *Redis) putAside() error {
	r.Log("Redis cannot read its data; it is put aside as %s and Redis begins empty", filepath.Join(r.Dir, "broken"))
	broken := filepath.Join(r.Dir, "broken")
	if err := os.RemoveAll(broken); err != nil {
		return fmt.Errorf("remove what was put aside before: %w", err)
	}
	for _, name := range []string{"appendonlydir", "appendonly.aof"} {
		err := os.Rename(filepath.Join(r.Dir, name), broken)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("put Redis's data aside: %w", err)
		}
	}
	return nil
}

// lastWords keeps the end of what a process says.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps at most the last 16 KiB.
func (w *lastWords) Write(b []byte) (int, error) {
	const most = 16 << 10
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, b...)
	if len(w.text) > most {
		w.text = append([]byte(nil), w.text[len(w.text)-most:]...)
	}
	return len(b), nil
}

// String is what was kept.
func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(w.text))
}
