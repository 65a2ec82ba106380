// Command smoke sees that a running stack does its work, through its public address, as a caller would: it signs in, makes,
// reads and deletes a record, takes a webhook in, and waits until a job has done what the webhook asked for.
//
// Deployments run it before they call a version good (deployments/deploy). It knows the sample business; whoever replaces that
// changes steps.go. It has an organization of its own, made the first time, and leaves nothing in it that is not in the trash.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// settings are what the environment and the command line say.
type settings struct {
	origin, email, password string
	authorities             *x509.CertPool // nil for the system's
	patience                time.Duration
}

func main() {
	patience := flag.Duration("patience", time.Minute, "how long each step may take")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "smoke URL: sees that the stack at the URL does its work\n\n"+
			"  SMOKE_EMAIL     the account it signs in with, and signs up the first time (smoke@example.com)\n"+
			"  SMOKE_PASSWORD  its password, or SMOKE_PASSWORD_FILE a file with it\n"+
			"  SMOKE_CA_FILE   authorities, in PEM, that vouch for the URL; the system's by default\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := read(flag.Args(), os.Getenv)
	if err == nil {
		s.patience = *patience
		err = run(ctx, s, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// read reads the settings. Its errors never show the password.
func read(args []string, variable func(string) string) (settings, error) {
	s := settings{email: cmp.Or(variable("SMOKE_EMAIL"), "smoke@example.com"), password: variable("SMOKE_PASSWORD")}
	if len(args) != 1 || args[0] == "" {
		return s, errors.New("name the stack's public address: smoke https://api.example.com")
	}
	u, err := url.Parse(args[0])
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return s, fmt.Errorf("%q is no origin, such as https://api.example.com", args[0])
	}
	s.origin = u.Scheme + "://" + u.Host
	if path := variable("SMOKE_PASSWORD_FILE"); path != "" && s.password == "" {
		text, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil {
			return s, fmt.Errorf("SMOKE_PASSWORD_FILE: %w", err)
		}
		s.password = strings.TrimSpace(string(text))
	}
	if s.password == "" {
		return s, errors.New("SMOKE_PASSWORD or SMOKE_PASSWORD_FILE must say the account's password; the first time it is the one it gets")
	}
	if path := variable("SMOKE_CA_FILE"); path != "" {
		text, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil {
			return s, fmt.Errorf("SMOKE_CA_FILE: %w", err)
		}
		s.authorities = x509.NewCertPool()
		if !s.authorities.AppendCertsFromPEM(text) {
			return s, fmt.Errorf("SMOKE_CA_FILE: %s holds no certificate in PEM", path)
		}
	}
	return s, nil
}

// run takes the steps in turn; the first that fails ends it.
func run(ctx context.Context, s settings, out io.Writer) error {
	c := &client.Client{Origin: s.origin, HTTP: &http.Client{
		Timeout:   20 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: s.authorities, MinVersion: tls.VersionTLS12}},
	}}
	l := &look{Client: c, settings: s}
	defer l.tidy(context.WithoutCancel(ctx))
	for _, step := range l.steps() {
		began := time.Now()
		if err := within(ctx, s.patience, step.run); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Fprintf(out, "  %-40s ok, %s\n", step.what, time.Since(began).Round(time.Millisecond))
	}
	return nil
}

func within(ctx context.Context, atMost time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	return do(ctx)
}
