package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// address is where a process listens.
type address struct {
	// variable gives it.
	variable string
	host     string
	port     int
}

// defaultAddresses are on the loopback interface: what runs here is nobody else's business.
func defaultAddresses() []address {
	return []address{
		{"API_ADDR", "127.0.0.1", 8080},
		{"API_OPS_ADDR", "127.0.0.1", 9090},
		{"INTAKE_ADDR", "127.0.0.1", 8081},
		{"WORKER_OPS_ADDR", "127.0.0.1", 9091},
		{"SCHEDULER_OPS_ADDR", "127.0.0.1", 9092},
		{"MAIL_ADDR", "127.0.0.1", 8025},
	}
}

// readAddresses takes the addresses from the environment. Port 0 becomes a free one, as it must be known before the
// process listens.
func readAddresses(ctx context.Context, variables map[string]string) (map[string]address, error) {
	all := make(map[string]address)
	for _, a := range defaultAddresses() {
		var err error
		if value := variables[a.variable]; value != "" {
			if a.host, a.port, err = parseAddress(ctx, value); err != nil {
				return nil, fmt.Errorf("%s: %q is not an address to listen on, such as 127.0.0.1:8080 or :8080: %w", a.variable, value, err)
			}
		}
		isAny := a.port == 0
		for a.port == 0 || isAny && a.clash(all) != "" {
			if a.port, err = proc.FreePort(ctx); err != nil {
				return nil, err
			}
		}
		if other := a.clash(all); other != "" {
			return nil, fmt.Errorf("%s and %s both name port %d: give one of them another", other, a.variable, a.port)
		}
		all[a.variable] = a
	}
	return all, nil
}

// clash is the variable whose address cannot be listened on together with this one, "" where there is none.
func (a address) clash(others map[string]address) string {
	for variable, o := range others {
		if a.port == o.port && (a.host == o.host || a.isWildcard() || o.isWildcard()) {
			return variable
		}
	}
	return ""
}

// isWildcard says whether the address is on every interface.
func (a address) isWildcard() bool {
	ip, err := netip.ParseAddr(a.host)
	return a.host == "" || err == nil && ip.IsUnspecified()
}

func parseAddress(ctx context.Context, value string) (string, int, error) {
	host, service, err := net.SplitHostPort(value)
	if err != nil {
		return "", 0, err //nolint:wrapcheck // the caller says what it was about
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return "", 0, err //nolint:wrapcheck // the caller says what it was about
	}
	return host, port, nil
}

// String is the address as a process takes it.
func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

// origin is how a program on this machine reaches it: an address that listens on every interface is no place to go to.
func (a address) origin() string {
	host := a.host
	if a.isWildcard() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(a.port))
}

// checkPorts says which ports are taken, by whom, and the way out.
func checkPorts(ctx context.Context, addresses []address) error {
	var all error
	for _, a := range addresses {
		all = errors.Join(all, a.check(ctx))
	}
	return all
}

func (a address) check(ctx context.Context) error {
	err := proc.IsFree(ctx, a.String())
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return a.taken(ctx)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: you may not listen on port %d; choose one above 1023: %s", a.variable, a.port, a.instead(ctx))
	default:
		return fmt.Errorf("%s: cannot listen on %s: %w", a.variable, a, err)
	}
}

func (a address) taken(ctx context.Context) error {
	holder, ok := proc.PortHolder(a.port)
	if !ok {
		return fmt.Errorf("%s: port %d is taken by another process.\n  End that process, or choose another port: %s", a.variable, a.port, a.instead(ctx))
	}
	command := holder.Command()
	if len(command) > 120 {
		command = command[:120] + "…"
	}
	return fmt.Errorf("%s: port %d is taken by process %d (%s).\n  End it with: kill %d\n  or choose another port: %s",
		a.variable, a.port, holder.Pid, strings.TrimSpace(command), holder.Pid, a.instead(ctx))
}

// instead is a command that would work, with a port that is free just now.
func (a address) instead(ctx context.Context) string {
	port, err := proc.FreePort(ctx)
	if err != nil {
		port = a.port + 100
	}
	return a.variable + "=" + net.JoinHostPort(a.host, strconv.Itoa(port)) + " make run"
}
