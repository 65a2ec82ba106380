package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/platform/logging"
)

// panicError is a handler's panic.
type panicError struct {
	value any
	stack []byte
}

// Error is for logs.
func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// internal is what a tenant is told of an error that is about our machines.
const internal = "An internal error; it has been logged."

// say puts an error in words: for the job's tenant, and for operators. A fault is told in the words that it has for
// callers, what a handler made up is told as it is; what comes from a database, a socket, a file or a panic is told to
// operators only.
func say(err error, kind jobs.Kind) (public, private string) {
	whole := logging.Redact(err.Error())
	public = whole
	var panicked *panicError
	var f *fault.Error
	switch {
	case errors.As(err, &panicked):
		public, whole = internal, whole+"\n\n"+logging.Redact(string(panicked.stack))
	case errors.Is(err, errTimeout):
		public = "It took longer than " + kind.Timeout.String() + ", which is all the time that it has."
	case errors.As(err, &f):
		public = f.Detail
	case isMachines(err):
		public = internal
	}
	if whole == public {
		return public, ""
	}
	return public, whole
}

// isMachines says whether an error comes from a machine, and names things that are no tenant's business.
func isMachines(err error) bool {
	var (
		database interface{ SQLState() string }
		network  net.Error
		lookup   *net.DNSError
		file     *fs.PathError
		system   syscall.Errno
		link     *os.LinkError
	)
	return errors.As(err, &database) || errors.As(err, &network) || errors.As(err, &lookup) || errors.As(err, &file) ||
		errors.As(err, &system) || errors.As(err, &link) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
