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
)

func main() {
	seedOnly := flag.Bool("seed", false, "put the sample customers into the demo tenant, and do nothing else")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "demo: a tour of a running stack\n\n"+
			"  API_URL    the API's origin; where it is not set, LOCAL_DIR/stack.json says it\n"+
			"  LOCAL_DIR  where make run keeps its files (.local)\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *seedOnly); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, seedOnly bool) error {
	dir := cmp.Or(os.Getenv("LOCAL_DIR"), ".local")
	found, err := findStack(dir, os.Getenv("API_URL"))
	if err != nil {
		return err
	}
	customers, err := northwind()
	if err != nil {
		return err
	}
	api := client{api: found.API, http: &http.Client{Timeout: 30 * time.Second}}
	if seedOnly && found.Demo.APIKey != "" {
		api.token = found.Demo.APIKey
		done, err := seed(ctx, &api, customers)
		if err != nil {
			return err
		}
		fmt.Printf("Customers of the demo tenant %s: %s.\n", found.Demo.TenantID, done)
		return nil
	}
	password, err := tourPassword(dir)
	if err != nil {
		return err
	}
	t := &tour{out: os.Stdout, api: api, password: password, customers: customers}
	return t.run(ctx, seedOnly)
}
