//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package postgres

import "net"

// isClosedByServer cannot be told here without waiting; the statement will.
func isClosedByServer(net.Conn) bool { return false }
