//go:build !linux

package proc

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// PortHolder returns the process that listens on a TCP port, as far as lsof is there and the user may see it.
func PortHolder(port int) (Identity, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "lsof", "-nP", "-t", "-sTCP:LISTEN", "-iTCP:"+strconv.Itoa(port)).Output()
	if err != nil {
		return Identity{}, false
	}
	first, _, _ := strings.Cut(string(out), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return Identity{}, false
	}
	return Identify(pid)
}
