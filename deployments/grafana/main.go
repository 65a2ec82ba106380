// Command grafana writes the dashboards of deployments/grafana/dashboards, or asks a Prometheus and a Loki all of their questions:
//
//	go run ./deployments/grafana                                  writes them anew
//	go run ./deployments/grafana -check http://127.0.0.1:9090     asks Prometheus, and says what came back
//	  … -loki http://127.0.0.1:3100                               and asks Loki
//
// A board is declared in a file of its own here, so that a panel is a line and its form is the same everywhere.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

// folder is where the boards are, seen from the repository's root.
const folder = "deployments/grafana/dashboards"

func main() {
	address := flag.String("check", "", "the address of a Prometheus to ask the panels' questions, instead of writing the boards")
	loki := flag.String("loki", "", "with -check: the address of a Loki to ask the questions of logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, *loki, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "grafana:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, address, loki string, out io.Writer) error {
	if address != "" {
		return check(ctx, address, loki, out)
	}
	for _, b := range boards() {
		text, err := b.document()
		if err != nil {
			return fmt.Errorf("write %s: %w", b.uid, err)
		}
		if err := os.WriteFile(filepath.Join(folder, b.uid+".json"), text, 0o644); err != nil { //nolint:gosec // it is for all to read
			return fmt.Errorf("write %s (run it in the repository's root): %w", b.uid, err)
		}
	}
	return nil
}
