package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// tour shows the API step by step. A step that does not come out as it should ends it.
type tour struct {
	out      io.Writer
	api      client.Client // with no credential
	password string        // of both accounts
	codes    []string      // of the customers that there must be
	dir      string        // where files are kept
	mail     string        // the page of the mails that were caught; "" where none are

	northwind *client.Client // signed in as Northwind Traders
	all       []customer     // Northwind's customers, as they were listed
	touched   customer       // the one that was changed
}

// step is a part of the tour.
type step struct {
	title string
	run   func(context.Context) error
}

func (t *tour) steps() []step {
	return []step{
		{"Sign up", t.signUp},
		{"Import Northwind's customers", t.seed},
		{"Page through them", t.list},
		{"Import Northwind's orders with their lines, and add them up", t.orders},
		{"Filter and sort", t.filter},
		{"Change one", t.change},
		{"Delete one, and restore it", t.deleteAndRestore},
		{"Take a webhook in, and send one out: Stripe says that an order was paid", t.webhooks},
		{"Run tonight's report now, for a day of Northwind's", t.report},
		{"See who did what", t.audit},
		{"Try to reach them as another tenant", t.trespass},
		{"See the limits", t.limits},
	}
}

func (t *tour) run(ctx context.Context, steps []step) error {
	t.say("A tour of the API at %s", t.api.Origin)
	for i, step := range steps {
		t.say("\n%d. %s", i+1, step.title)
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (t *tour) say(format string, values ...any) { fmt.Fprintf(t.out, format+"\n", values...) }

func (t *tour) signUp(ctx context.Context) error {
	who := client.Account{Name: "Andrew Fuller", Email: "tour@northwind.example", Organization: "Northwind Traders"}
	c, s, isNew, err := t.enter(ctx, who)
	if err != nil {
		return err
	}
	t.northwind = c
	if isNew {
		t.say("   %s is a new tenant (%s); %s owns it.", s.Tenant.Name, s.Tenant.ID, who.Email)
	} else {
		t.say("   %s was here before (%s); signed in as %s.", s.Tenant.Name, s.Tenant.ID, who.Email)
	}
	return nil
}

// enter signs in, or up where the account does not exist yet.
func (t *tour) enter(ctx context.Context, who client.Account) (*client.Client, client.Session, bool, error) {
	c := t.api
	who.Password = t.password
	s, isNew, err := c.Enter(ctx, who)
	if errors.Is(err, client.ErrOtherPassword) {
		err = fmt.Errorf("%s has an account on this stack with another password than the one in "+
			"LOCAL_DIR/tour-password; use the LOCAL_DIR of the first tour", who.Email)
	}
	return &c, s, isNew, err
}

func (t *tour) seed(ctx context.Context) error {
	done, err := importCustomers(ctx, t.northwind)
	if err != nil {
		return err
	}
	t.say("   %s.", done)
	return nil
}

func (t *tour) list(ctx context.Context) error {
	sizes := ""
	err := eachPage(ctx, t.northwind, "/customers", url.Values{"limit": {"25"}}, func(p page[customer]) {
		if sizes != "" {
			sizes += " + "
		}
		sizes += fmt.Sprint(len(p.Data))
		t.all = append(t.all, p.Data...)
	})
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, c := range t.all {
		listed[c.Code] = true
	}
	for _, code := range t.codes {
		if !listed[code] {
			return fmt.Errorf("%s is on no page", code)
		}
	}
	t.say("   Pages of 25, each found by the cursor of the one before: %s = %d.", sizes, len(t.all))
	return nil
}

// find returns one of Northwind's customers by its code.
func (t *tour) find(code string) (customer, error) {
	for _, c := range t.all {
		if c.Code == code {
			return c, nil
		}
	}
	return customer{}, fmt.Errorf("there is no customer %s", code)
}
