package redis

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// address is what a URL says about how to reach a server.
type address struct {
	network, addr      string
	username, password string
	db                 int
	tls                bool
	// rootCert is the file of the authorities that vouch for the server; "" for the system's.
	rootCert string
}

// parseURL reads the forms that Config.URL documents. Its errors never hold the URL, which may hold a password.
func parseURL(raw string) (address, error) {
	if raw == "" {
		return address{}, errors.New("the URL of Redis is empty")
	}
	u, err := url.Parse(raw)
	if err != nil {
		var wrong *url.Error
		if errors.As(err, &wrong) {
			err = wrong.Err
		}
		if strings.Contains(err.Error(), "userinfo") || strings.Contains(err.Error(), "port") {
			err = errors.New("user, password or port cannot be read; special characters in a password are written as %XX")
		}
		return address{}, fmt.Errorf("the URL of Redis: %w", err)
	}
	var a address
	if u.User != nil {
		password, set := u.User.Password()
		if set {
			a.username, a.password = u.User.Username(), password
		} else {
			a.password = u.User.Username() // redis://secret@host, as redis-cli reads it
		}
		if a.username != "" && a.password == "" {
			return address{}, errors.New("the URL of Redis names a user and an empty password")
		}
	}
	var db string
	switch u.Scheme {
	case "redis", "rediss":
		a.rootCert, err = rootCertOf(u)
		if u.Opaque != "" || u.Fragment != "" || err != nil {
			return address{}, fmt.Errorf("the URL of Redis is not of the form %s://user:password@host:6379/0; "+
				"rediss:// may have ?sslrootcert=/path/to/authorities.pem behind it, and there is no other parameter", u.Scheme)
		}
		host, port := u.Hostname(), u.Port()
		if host == "" {
			host = "localhost"
		}
		if port == "" {
			port = "6379"
		}
		a.network, a.addr, a.tls = "tcp", net.JoinHostPort(host, port), u.Scheme == "rediss"
		db = strings.TrimPrefix(u.Path, "/")
	case "unix", "redis+unix":
		if u.Host != "" || u.Path == "" {
			return address{}, fmt.Errorf("the URL of Redis is not of the form %s:///path/to/socket?db=0", u.Scheme)
		}
		a.network, a.addr = "unix", u.Path
		db = u.Query().Get("db")
	default:
		return address{}, errors.New("the URL of Redis begins with none of redis://, rediss://, unix:// and redis+unix://")
	}
	if db != "" {
		a.db, err = strconv.Atoi(db)
		if err != nil || a.db < 0 {
			return address{}, fmt.Errorf("the URL of Redis: %q is not the number of a database", db)
		}
	}
	return a, nil
}

var errParameters = errors.New("unknown parameters")

// rootCertOf reads the one parameter that there is, which has the name and the meaning of PostgreSQL's.
func rootCertOf(u *url.URL) (string, error) {
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", errParameters
	}
	path := parameters.Get("sslrootcert")
	if len(parameters) == 0 {
		return "", nil
	}
	if u.Scheme != "rediss" || path == "" || len(parameters) > 1 || len(parameters["sslrootcert"]) > 1 {
		return "", errParameters
	}
	return path, nil
}

// authorities reads the file of a URL's sslrootcert.
func authorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("the URL of Redis: read sslrootcert: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the URL of Redis: sslrootcert: %s holds no certificate in PEM", path)
	}
	return pool, nil
}
