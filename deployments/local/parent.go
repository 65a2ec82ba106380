package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// watchParents stops the stack when `go run`, or the `make` that ran it, is gone. `go run` hands on no SIGTERM: whoever ends it, or
// ends make, means us. Anyone else above us, such as a shell, may go; nohup and setsid are for that.
func watchParents(ctx context.Context, stop context.CancelFunc) {
	watched := launchers()
	if len(watched) == 0 {
		return
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, w := range watched {
				if !w.IsAlive() {
					stop()
					return
				}
			}
		}
	}
}

// launchers are the processes above us that stand for this run: go, and make further up.
func launchers() []proc.Identity {
	const highest = 5 // make, a shell, go, and a wrapper or two
	var chain, watched []proc.Identity
	pid := os.Getppid()
	for range highest {
		id, ok := proc.Identify(pid)
		if !ok || pid <= 1 {
			break
		}
		chain = append(chain, id)
		name, _, _ := strings.Cut(id.Command(), " ")
		switch filepath.Base(name) {
		case "go", "make", "gmake":
			watched = append(watched[:0], chain...)
		case "sh", "bash", "dash", "ash", "zsh": // make's, perhaps
		default:
			return watched
		}
		if pid, ok = id.Parent(); !ok {
			break
		}
	}
	return watched
}
