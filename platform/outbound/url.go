package outbound

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// RFC 1035 §2.3.4.
const maxName, maxLabel = 253, 63

// MaxURL is how long a URL may be, in bytes.
const MaxURL = 2048

// RefusalError says why a URL, or where it leads, is not called. Its text is for whoever gave the URL.
type RefusalError struct {
	// Code is the reason, for programs: "url", "https", "credentials", "host", "private", "unresolvable".
	Code string
	// Detail is what is wrong and what would be right; it names no address that the URL did not.
	Detail string
}

// Error is the detail.
func (r *RefusalError) Error() string { return "the URL " + r.Detail }

func refuse(code, detail string) error { return &RefusalError{Code: code, Detail: detail} }

// target is a URL that was read, and what of it decides where it leads.
type target struct {
	url      *url.URL
	hostport string // in lower case, the port always there
}

// parse reads a URL and refuses what is none, what hides where it leads, and what would send secrets or bodies in the clear.
func (c *Client) parse(raw string) (target, error) {
	const form = "; write it as https://hooks.example.com/path"
	if raw == "" || len(raw) > MaxURL {
		return target{}, refuse("url", "must have 1 to "+strconv.Itoa(MaxURL)+" characters"+form)
	}
	if strings.TrimFunc(raw, func(r rune) bool { return r > ' ' && r != 0x7f }) != "" || strings.ContainsAny(raw, " \\") {
		return target{}, refuse("url", "holds spaces, backslashes or control characters; encode or remove them")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Opaque != "" || u.Host == "" {
		return target{}, refuse("url", "is not an absolute URL"+form)
	}
	switch {
	case u.User != nil:
		return target{}, refuse("credentials", "holds a user name or password; send a secret in a custom header instead")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return target{}, refuse("url", "has a fragment (#…), which is never sent; leave it out")
	case u.Scheme != "https" && u.Scheme != "http":
		return target{}, refuse("https", "must begin with https://")
	}
	host, err := readHost(u)
	if err != nil {
		return target{}, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strings.HasSuffix(u.Host, ":") {
		return target{}, refuse("url", "has no valid port; ports are 1 to 65535")
	}
	t := target{url: u, hostport: net.JoinHostPort(host, port)}
	u.Host = strings.TrimSuffix(t.hostport, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	if u.Scheme == "http" && !c.allowHTTP && !c.allow.hasHost(t.hostport) && !c.allowsLiteral(host) {
		return target{}, refuse("https", "must begin with https://: what is sent would be readable on its way")
	}
	return t, nil
}

// allowsLiteral says whether the host is an address that the operator allowed by its network.
func (c *Client) allowsLiteral(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && c.allow.hasAddress(ip.Unmap())
}

// readHost is the host as it is resolved: an address in its one usual form, or a name in ASCII and lower case.
func readHost(u *url.URL) (string, error) {
	host := u.Hostname()
	if strings.HasPrefix(u.Host, "[") {
		ip, err := netip.ParseAddr(host)
		if err != nil || ip.Zone() != "" {
			return "", refuse("host", "holds an IPv6 address that is none, or one with a zone; use a host's name")
		}
		return ip.String(), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), nil
	}
	ascii, err := idna.Lookup.ToASCII(host)
	isTooLong := func(label string) bool { return label == "" || len(label) > maxLabel }
	if err != nil || len(ascii) > maxName || slices.ContainsFunc(strings.Split(ascii, "."), isTooLong) {
		return "", refuse("host", "holds a host name that is none; check how it is spelled")
	}
	// What ends in a number is an address to resolvers that read 2130706433, 0x7f.1 or 0177.0.0.1 as one.
	last := ascii[strings.LastIndexByte(ascii, '.')+1:]
	if isNumber(last) {
		return "", refuse("host", "holds an IP address in an unusual notation; write it as 198.51.100.7, or use a host's name")
	}
	return ascii, nil
}

func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}
