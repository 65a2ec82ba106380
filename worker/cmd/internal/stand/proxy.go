package stand

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
)

// Proxy stands between one process and Redis, and does as a bad network does.
type Proxy struct {
	listener net.Listener
	target   string
	// fate says what becomes of the replies to a request; nil passes them on.
	fate atomic.Pointer[func(request []byte) Fate]

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

// Fate is what becomes of the replies to a request that Redis has carried out.
type Fate struct {
	// Lost ends the connection in the place of the reply.
	Lost bool
	// Held has the reply wait until it is closed; nil does not.
	Held <-chan struct{}
}

// newProxy returns a proxy to a Redis, and its address in the place of Redis's.
func newProxy(ctx context.Context, address string) (*Proxy, string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, "", fmt.Errorf("stand in front of Redis: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("stand in front of Redis: %w", err)
	}
	p := &Proxy{listener: listener, target: u.Host, open: map[net.Conn]struct{}{}}
	go p.accept(context.WithoutCancel(ctx))
	u.Host = listener.Addr().String()
	return p, u.String(), nil
}

// Decide has a function decide about all requests from now on; nil passes all replies on. It is called by many
// goroutines at once, with whatever one read from the client brought: mostly one request or one pipeline.
func (p *Proxy) Decide(fate func(request []byte) Fate) {
	if fate == nil {
		p.fate.Store(nil)
		return
	}
	p.fate.Store(&fate)
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *Proxy) close() {
	if p == nil {
		return
	}
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut()
}

func (p *Proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(ctx, client)
	}
}

func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.open[client], p.open[server] = struct{}{}, struct{}{}
	closed := p.closed
	p.mu.Unlock()
	if closed {
		p.end(client, server)
		return
	}
	var next atomic.Pointer[Fate] // of the replies to the last request
	go func() {
		defer p.end(client, server)
		carry(server, client, func(request []byte) bool {
			if fate := p.fate.Load(); fate != nil {
				decided := (*fate)(request)
				next.Store(&decided)
			}
			return true
		})
	}()
	defer p.end(client, server)
	carry(client, server, func([]byte) bool {
		fate := next.Swap(nil)
		if fate != nil && fate.Held != nil {
			<-fate.Held
		}
		return fate == nil || !fate.Lost
	})
}

func (p *Proxy) end(conns ...net.Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.open, c)
	}
}

// carry carries what one side says to the other until either ends, or passes says no.
func carry(to, from net.Conn, passes func(said []byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !passes(buffer[:n]) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
