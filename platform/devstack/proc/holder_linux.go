package proc

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// PortHolder returns the process that listens on a TCP port, as far as the user may see it.
func PortHolder(port int) (Identity, bool) {
	sockets := listening(port)
	if len(sockets) == 0 {
		return Identity{}, false
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return Identity{}, false
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !slices.Contains(sockets, target) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
		if err != nil {
			continue
		}
		if id, ok := Identify(pid); ok {
			return id, true
		}
	}
	return Identity{}, false
}

// listening returns the sockets that listen on the port, as /proc/<pid>/fd spells them.
func listening(port int) []string {
	const (
		localAddress = 1
		state        = 3
		inode        = 9
		listen       = "0A"
	)
	var found []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table) //nolint:gosec // one of two constants
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			f := strings.Fields(lines.Text())
			if len(f) > inode && f[state] == listen && strings.HasSuffix(f[localAddress], fmt.Sprintf(":%04X", port)) {
				found = append(found, "socket:["+f[inode]+"]")
			}
		}
		_ = file.Close()
	}
	return found
}
