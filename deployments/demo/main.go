// Command demo takes a tour of a running stack: it signs a tenant up, puts real customers in, and shows what the API
// makes of them. It speaks HTTP to the public API like anybody's program would, and may serve as an example of it.
//
// It may be run again at any time: what is there is found, and what it changes it changes back. With -seed it only
// puts the customers in, into the demo tenant that stack.json names.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// patience is how long the tour waits for what is usually there at once, and the longest that it lets a limit hold it up.
const patience = 10 * time.Second

func main() {
	seedOnly := flag.Bool("seed", false, "put the sample customers into the demo tenant, and do nothing else")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "demo: a tour of a running stack\n\n"+
			"  API_URL    the API's origin; where it is not set, LOCAL_DIR/stack.json says it\n"+
			"  LOCAL_DIR  where make run keeps its files (.local)\n"+
			"  WEBHOOK_RECEIVER  host:port of this machine where the tour takes webhooks, as the stack reaches it (127.0.0.1:0)\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	act := takeTour
	if *seedOnly {
		act = seedDemo
	}
	if err := act(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func takeTour(ctx context.Context) error {
	t, _, err := prepare()
	if err != nil {
		return err
	}
	if err := t.run(ctx, t.steps()); err != nil {
		return err
	}
	t.say("\nThat was the tour. Nothing is left changed; take it again at any time.")
	return nil
}

// seedDemo puts the customers into the demo tenant, or into the tour's where the stack was named by its address only.
func seedDemo(ctx context.Context) error {
	t, found, err := prepare()
	if err != nil {
		return err
	}
	if found.Demo.APIKey == "" {
		return t.run(ctx, t.steps()[:2])
	}
	c := t.api
	c.Token = found.Demo.APIKey
	done, err := importCustomers(ctx, &c)
	if err != nil {
		return err
	}
	t.say("Customers of the demo tenant %s: %s.", found.Demo.TenantID, done)
	return nil
}

// prepare finds the stack and reads what a tour needs.
func prepare() (*tour, stack, error) {
	dir := cmp.Or(os.Getenv("LOCAL_DIR"), ".local")
	found, err := findStack(dir, os.Getenv("API_URL"))
	if err != nil {
		return nil, stack{}, err
	}
	codes, err := northwindCodes()
	if err != nil {
		return nil, stack{}, err
	}
	password, err := tourPassword(dir)
	if err != nil {
		return nil, stack{}, err
	}
	api := client.Client{Origin: found.API, HTTP: &http.Client{Timeout: 30 * time.Second}, Patience: patience}
	return &tour{out: os.Stdout, api: api, password: password, codes: codes, dir: dir, mail: found.Mail}, found, nil
}
