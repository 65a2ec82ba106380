//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package postgres

import (
	"crypto/tls"
	"net"
	"syscall"
)

// isClosedByServer looks, without waiting, for something to read on a connection on which nothing should come: the
// server's farewell, or the end.
func isClosedByServer(nc net.Conn) bool {
	if over, ok := nc.(*tls.Conn); ok {
		nc = over.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK && err != syscall.EINTR
	})
	return err != nil || closed
}
