package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// HTTP returns the component that serves server. Start listens on server.Addr, so that a port that is taken stops the
// start; listening, if not nil, is told the address then, which has the port that was chosen where :0 was asked for.
// Stop takes no more requests and waits for those in flight; when its time ends it cuts them off.
func HTTP(name string, server *http.Server, listening func(net.Addr)) Component {
	var listener net.Listener
	return Component{
		Name: name,
		Start: func(ctx context.Context) error {
			l, err := new(net.ListenConfig).Listen(ctx, "tcp", server.Addr)
			if err != nil {
				return err
			}
			listener = l
			if listening != nil {
				listening(l.Addr())
			}
			return nil
		},
		Serve: func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		Stop: func(ctx context.Context) error {
			if err := server.Shutdown(ctx); err != nil {
				return fmt.Errorf("requests in flight were cut off: %w", errors.Join(err, server.Close()))
			}
			return nil
		},
	}
}
