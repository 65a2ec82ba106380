// Command mailbox catches all mails that are sent to it, delivers none, and shows them on a page: for a stack of containers
// that has no mail server yet. Beside them it serves pages that stand in for a web app, where links in mails lead.
//
// It is not for production: whoever sees its page can follow the links.
package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/standin"
	"github.com/groundwork-saas/groundwork/platform/devstack/mailsink"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
)

const usage = `mailbox: catches mails and shows them

Variables, all optional:
  MAILBOX_DIR        where mails are kept (/var/lib/groundwork/mails)
  MAILBOX_SMTP_ADDR  where mails are taken (:1025)
  MAILBOX_ADDR       where mails are shown, under a name of this machine only, such as localhost (:8025)
  MAILBOX_API        the API's origin, to which the pages that links lead to post (http://api:8080)

Commands:
  healthcheck        ask the mailbox that runs on this machine whether it is there
`

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	pageAddr := cmp.Or(os.Getenv("MAILBOX_ADDR"), ":8025")
	var err error
	switch {
	case len(args) == 0:
		err = serve(context.Background(), pageAddr)
	case len(args) == 1 && args[0] == "healthcheck":
		err = check(context.Background(), pageAddr)
	default:
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mailbox:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, pageAddr string) error {
	app, err := standin.Handler(cmp.Or(os.Getenv("MAILBOX_API"), "http://api:8080"))
	if err != nil {
		return fmt.Errorf("MAILBOX_API: %w", err)
	}
	var sink *mailsink.Sink
	return lifecycle.Run(ctx, 5*time.Second, lifecycle.Component{
		Name: "mailbox",
		Start: func(ctx context.Context) (err error) {
			sink, err = mailsink.Start(context.WithoutCancel(ctx), mailsink.Config{
				Dir:      cmp.Or(os.Getenv("MAILBOX_DIR"), "/var/lib/groundwork/mails"),
				SMTPAddr: cmp.Or(os.Getenv("MAILBOX_SMTP_ADDR"), ":1025"), PageAddr: pageAddr, Beside: app,
			})
			return err
		},
		Stop: func(ctx context.Context) error { return sink.Stop(ctx) },
	})
}

// check asks for the newest mail's number.
func check(ctx context.Context, pageAddr string) error {
	_, port, err := net.SplitHostPort(pageAddr)
	if err != nil {
		return fmt.Errorf("MAILBOX_ADDR: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", port)+"/latest", http.NoBody)
	if err != nil {
		return fmt.Errorf("MAILBOX_ADDR: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", response.Status)
	}
	return nil
}
