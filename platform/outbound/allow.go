package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Allow are the addresses that may be called though they are private: those of whoever hosts the product and its
// receivers in one network. The zero value allows none.
type Allow struct {
	hosts    []string // host:port, in lower case
	prefixes []netip.Prefix
}

var errAllow = errors.New("must be a host:port such as hooks.internal:8443, or a CIDR such as 10.1.0.0/16")

// ParseAllow reads a list of host:port and CIDRs. A host:port allows what the host resolves to, on that port only.
func ParseAllow(entries []string) (Allow, error) {
	var a Allow
	for _, entry := range entries {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			a.prefixes = append(a.prefixes, unmapped(prefix.Masked()))
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if err != nil || host == "" || port == "" || strings.ContainsAny(entry, "/@ ") {
			return Allow{}, fmt.Errorf("%q %w", entry, errAllow)
		}
		a.hosts = append(a.hosts, net.JoinHostPort(host, port))
	}
	return a, nil
}

// hasHost says whether the host and port of a URL are named.
func (a Allow) hasHost(hostport string) bool {
	return slices.Contains(a.hosts, strings.ToLower(hostport))
}

// hasAddress says whether an address lies in one of the CIDRs.
func (a Allow) hasAddress(ip netip.Addr) bool {
	return slices.ContainsFunc(a.prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func unmapped(p netip.Prefix) netip.Prefix {
	const mapped = 96
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p
}

// denied are the ranges that a stranger's URL must not lead to: our own machines and networks, and what is no one's
// server. The comments name the registries' entries (IANA special-purpose addresses) or the RFC.
//
//nolint:gochecknoglobals // a constant that Go cannot spell as one
var denied = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),         // this network
	netip.MustParsePrefix("10.0.0.0/8"),        // private
	netip.MustParsePrefix("100.64.0.0/10"),     // shared by carriers; cloud metadata of some providers
	netip.MustParsePrefix("127.0.0.0/8"),       // loopback
	netip.MustParsePrefix("169.254.0.0/16"),    // link-local; cloud metadata
	netip.MustParsePrefix("172.16.0.0/12"),     // private
	netip.MustParsePrefix("192.0.0.0/24"),      // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),      // documentation
	netip.MustParsePrefix("192.31.196.0/24"),   // AS112
	netip.MustParsePrefix("192.52.193.0/24"),   // AMT
	netip.MustParsePrefix("192.88.99.0/24"),    // 6to4 relays, deprecated
	netip.MustParsePrefix("192.168.0.0/16"),    // private
	netip.MustParsePrefix("192.175.48.0/24"),   // AS112
	netip.MustParsePrefix("198.18.0.0/15"),     // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),   // documentation
	netip.MustParsePrefix("203.0.113.0/24"),    // documentation
	netip.MustParsePrefix("224.0.0.0/4"),       // multicast
	netip.MustParsePrefix("240.0.0.0/4"),       // reserved, and broadcast
	netip.MustParsePrefix("::/96"),             // unspecified, loopback, IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"),      // NAT64: an IPv4 address in it is reached
	netip.MustParsePrefix("64:ff9b:1::/48"),    // NAT64, local
	netip.MustParsePrefix("100::/64"),          // discard only
	netip.MustParsePrefix("100:0:0:1::/64"),    // dummy
	netip.MustParsePrefix("2001::/23"),         // protocol assignments, Teredo (2001::/32) among them
	netip.MustParsePrefix("2001:db8::/32"),     // documentation
	netip.MustParsePrefix("2002::/16"),         // 6to4: an IPv4 address in it is reached
	netip.MustParsePrefix("2620:4f:8000::/48"), // AS112
	netip.MustParsePrefix("3fff::/20"),         // documentation
	netip.MustParsePrefix("5f00::/16"),         // segment routing
	netip.MustParsePrefix("fc00::/7"),          // unique local; cloud metadata
	netip.MustParsePrefix("fe80::/10"),         // link-local
	netip.MustParsePrefix("fec0::/10"),         // site-local, deprecated
	netip.MustParsePrefix("ff00::/8"),          // multicast
}

// IsPublic says whether an address is one that anybody's server may have.
func IsPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsValid() || ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(denied, func(p netip.Prefix) bool { return p.Contains(ip) })
}
