//go:build !linux

package proc

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func setDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}

func ps(pid int, field string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-ww", "-o", field+"=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func started(pid int) (string, bool) {
	if strings.HasPrefix(ps(pid, "state"), "Z") {
		return "", false
	}
	at := ps(pid, "lstart")
	return at, at != ""
}

func command(pid int) string { return ps(pid, "command") }

func parent(pid int) (int, bool) {
	ppid, err := strconv.Atoi(ps(pid, "ppid"))
	return ppid, err == nil
}

// worksIn cannot be asked without lsof here; the command line names the directory as well.
func worksIn(pid int, dir string) bool { return strings.Contains(command(pid), dir) }
