package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// tellsCallersApart sees that the limit of a caller's address counts callers, and not the balancer, through which all of
// them come: one that asks too often is refused, whatever it claims of its address, and another is not.
func tellsCallersApart(ctx context.Context, s site) error {
	const most = 2000 // the limit is 300 a minute unless it is set
	flooder, err := callerAt(s, netip.MustParseAddr("127.0.0.4"))
	if err != nil {
		return err
	}
	other, err := callerAt(s, netip.MustParseAddr("127.0.0.5"))
	if err != nil {
		return err
	}
	sent, status := 0, 0
	for ; status != http.StatusTooManyRequests; sent++ {
		if sent == most {
			return fmt.Errorf("a caller without a credential sent %d requests and was not refused", most)
		}
		if status, err = ask(ctx, flooder, nil); err != nil {
			return err
		}
	}
	forged, err := ask(ctx, flooder, map[string]string{"X-Forwarded-For": "192.0.2.7"})
	if err != nil {
		return err
	}
	apart, err := ask(ctx, other, nil)
	if err != nil {
		return err
	}
	if forged != http.StatusTooManyRequests || apart != http.StatusUnauthorized {
		return fmt.Errorf("callers are not told apart by their addresses: with a forged one the refused caller got %d, another caller %d", forged, apart)
	}
	say("callers are told apart through the balancer: one is refused after %d requests, with a forged address too, another is not", sent-1)
	return nil
}

// callerAt is a client that comes from an address of this machine.
func callerAt(s site, address netip.Addr) (*client.Client, error) {
	c, err := newClient(s)
	if err != nil {
		return nil, err
	}
	from, isOurs := c.HTTP.Transport.(once)
	if !isOurs {
		return nil, errors.New("the client has another transport than was made for it")
	}
	from.transport.DialContext = (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0))}).DialContext
	return c, nil
}

// ask sends a request without a credential, and returns the status of its answer.
func ask(ctx context.Context, c *client.Client, header map[string]string) (int, error) {
	answer, err := c.Ask(ctx, client.Call{Method: http.MethodGet, Path: "/customers", Header: header})
	if answer.Status != 0 {
		return answer.Status, nil
	}
	return 0, err
}
