package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

func accountCommands() []command {
	return []command{
		{
			name: "tenants suspend", usage: "ID", summary: "stop an organization: its users and keys are refused from the next request on",
			detail:  "Nothing is deleted and no session ends: tenants activate undoes it. The organization's audit says that it happened.",
			prepare: prepareTenant((*tenants.Service).Suspend),
		},
		{
			name: "tenants activate", usage: "ID", summary: "let a suspended organization work again",
			prepare: prepareTenant((*tenants.Service).Resume),
		},
		{
			name: "users disable", usage: "EMAIL|ID", summary: "end a user's sessions, and let them sign in no more",
			prepare: prepareUser(users.Disabled, (*users.Service).Disable),
		},
		{
			name: "users enable", usage: "EMAIL|ID", summary: "let a disabled user sign in again",
			prepare: prepareUser(users.Active, (*users.Service).Enable),
		},
	}
}

func prepareTenant(
	set func(s *tenants.Service, ctx context.Context, id tenancy.ID, requestID string) (tenants.Tenant, error),
) func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	return func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
		asJSON := jsonFlag(flags)
		return func(ctx context.Context, args []string) error {
			word, err := only(args, "the ID of an organization")
			if err != nil {
				return err
			}
			id, err := parseID(word)
			if err != nil {
				return err
			}
			return p.withIdentity(ctx, func(store *postgres.Identity) error {
				tenant, err := set(tenants.NewService(store, validate.New(), p.now), ctx, id, newRequestID())
				if err != nil {
					return err
				}
				if *asJSON {
					return writeJSON(p.out, tenant)
				}
				fmt.Fprintf(p.out, "%s (%s) is %s\n", printable(tenant.Name), tenant.ID, tenant.State)
				return nil
			})
		}
	}
}

func prepareUser(
	state users.State, set func(s *users.Service, ctx context.Context, id tenancy.ID, requestID string) error,
) func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	return func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
		asJSON := jsonFlag(flags)
		return func(ctx context.Context, args []string) error {
			word, err := only(args, "the e-mail address or the ID of a user")
			if err != nil {
				return err
			}
			if !strings.Contains(word, "@") {
				if _, err := parseID(word); err != nil {
					return err
				}
			}
			return p.withIdentity(ctx, func(store *postgres.Identity) error {
				id, err := findUser(ctx, store, word)
				if err != nil {
					return err
				}
				// An operator sets a state: passwords and profiles, which the service needs the others for, are not touched.
				if err := set(users.NewService(store, nil, nil, p.now), ctx, id, newRequestID()); err != nil {
					return err
				}
				if *asJSON {
					return writeJSON(p.out, map[string]any{"id": id, "state": state})
				}
				fmt.Fprintf(p.out, "user %s is %s\n", id, state)
				return nil
			})
		}
	}
}

func findUser(ctx context.Context, store *postgres.Identity, word string) (tenancy.ID, error) {
	if !strings.Contains(word, "@") {
		return parseID(word)
	}
	user, err := store.FindUserByEmail(ctx, users.NormalizeEmail(word))
	if err == nil && user.ID.IsZero() {
		err = errors.New("nobody has the address " + printable(word) + "; check how it is written")
	}
	return user.ID, err
}

type identitySettings struct {
	// DatabaseURL is the control plane's, as a role that writes the audit.
	DatabaseURL config.Secret `env:"DATABASE_URL" required:"true" schemes:"postgres postgresql" help:"PostgreSQL, as groundwork_app."`
}

// withIdentity opens the control plane for as long as fn runs.
func (p program) withIdentity(ctx context.Context, fn func(store *postgres.Identity) error) error {
	var cfg identitySettings
	if err := p.settings(&cfg); err != nil {
		return err
	}
	return p.withDatabase(ctx, "DATABASE_URL", cfg.DatabaseURL, func(db *postgres.DB) error { return fn(postgres.NewIdentity(db)) })
}

// settings reads them from the environment, as the processes do.
func (p program) settings(cfg any) error {
	var problems config.Errors
	if err := config.Load(cfg, nil, p.environ); errors.As(err, &problems) {
		list := make([]string, len(problems))
		for i, problem := range problems {
			list[i] = problem.Name + " " + problem.Detail
		}
		return usageError("%s", strings.Join(list, "; "))
	} else if err != nil {
		return err
	}
	return nil
}

// withDatabase opens the database of a setting for as long as fn runs.
func (p program) withDatabase(
	ctx context.Context, name string, url config.Secret, fn func(db *postgres.DB) error,
) (err error) {
	db, err := postgres.Open(ctx, postgres.Config{URL: url.Reveal(), MaxConnections: 2, Now: p.now})
	if err != nil {
		return fmt.Errorf("open the database of %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return fn(db)
}

// newRequestID names one call of the command in the audit.
func newRequestID() string { return "operator-" + tenancy.NewID().String() }

// only returns the one word that a command takes.
func only(args []string, what string) (string, error) {
	if len(args) != 1 {
		return "", usageError("it takes one word: %s", what)
	}
	return args[0], nil
}

func parseID(word string) (tenancy.ID, error) {
	id, err := tenancy.ParseID(word)
	if err != nil {
		return id, usageError("%q is not an ID; one looks like 01980c2e-5d0b-7c3a-9a57-0f6c1f5f7d11", word)
	}
	return id, nil
}

func jsonFlag(flags *flag.FlagSet) *bool { return flags.Bool("json", false, "write JSON") }
