package intake

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
)

// ReadTimeout is how long a message may take to arrive, from its first byte to its last.
const ReadTimeout = 10 * time.Second

// Server serves the intake on an address; listening, if not nil, is told which one it became. Once the process is told to
// stop it goes on for delay, for the balancer to notice.
func (i *Intake) Server(address string, delay time.Duration, listening func(net.Addr)) lifecycle.Component {
	return lifecycle.Balanced("intake", &http.Server{
		Addr: address, Handler: i, ErrorLog: logging.Standard(i.Log, "intake"),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: ReadTimeout, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}, delay, listening)
}

// Background writes down what did not verify.
func (i *Intake) Background(ctx context.Context) lifecycle.Component {
	ctx, cancel := context.WithCancel(ctx)
	return lifecycle.Component{
		Name: "quarantine",
		Serve: func() error {
			i.Receiver.Run(ctx, func(err error) { i.Log.WithError(err).Warn("a message that did not verify could not be written down") })
			return nil
		},
		Stop: func(context.Context) error {
			cancel()
			return nil
		},
	}
}
