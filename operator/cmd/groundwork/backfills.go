package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/backfills"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

func backfillCommands() []command {
	return []command{
		{
			name: "backfills list", usage: "", summary: "list the changes of rows that follow migrations, and how far they have come",
			prepare: prepareBackfills,
		},
		{
			name: "backfills show", usage: "NAME", summary: "show all there is to know of a backfill", prepare: prepareBackfill(nil),
		},
		{
			name: "backfills start", usage: "NAME", summary: "have a worker run a backfill",
			detail:  "It is a job of the queue default, which goes on where it stopped when its worker stops or dies.",
			prepare: prepareBackfill((*backfills.Service).Start),
		},
		{
			name: "backfills pause", usage: "NAME", summary: "stop a backfill after its present batch", prepare: prepareBackfill((*backfills.Service).Pause),
		},
		{
			name: "backfills resume", usage: "NAME", summary: "have a backfill go on that was paused, or whose job was cancelled or has died",
			prepare: prepareBackfill((*backfills.Service).Resume),
		},
		{
			name: "backfills restart", usage: "NAME", summary: "have a backfill that is done begin again", prepare: prepareBackfill((*backfills.Service).Restart),
		},
	}
}

// withBackfills opens the database for as long as fn runs.
func (p program) withBackfills(ctx context.Context, fn func(s *backfills.Service) error) error {
	var cfg identitySettings
	if err := p.settings(&cfg); err != nil {
		return err
	}
	return p.withDatabase(ctx, "DATABASE_URL", cfg.DatabaseURL, func(db *postgres.DB) error {
		list := p.backfills
		if list == nil {
			list = postgres.ProductBackfills()
		}
		store, err := postgres.NewBackfills(db, list)
		if err != nil {
			return err
		}
		return fn(backfills.NewService(store, postgres.NewJobs(postgres.Shared{DB: db}, nil), p.now))
	})
}

// backfillView is a backfill as JSON shows it.
type backfillView struct {
	Name    string         `json:"name"`
	Summary string         `json:"summary"`
	Run     *backfills.Run `json:"run"`
}

func viewOfBackfill(l backfills.Listed) backfillView {
	return backfillView{Name: l.Name, Summary: l.Summary, Run: l.Run}
}

func prepareBackfills(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	asJSON := jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		if err := none(args); err != nil {
			return err
		}
		return p.withBackfills(ctx, func(s *backfills.Service) error {
			list, err := s.List(ctx)
			if err != nil {
				return err
			}
			if *asJSON {
				views := make([]backfillView, len(list))
				for i, l := range list {
					views[i] = viewOfBackfill(l)
				}
				return writeJSON(p.out, views)
			}
			t := newTable("NAME", "STATE", "ROWS", "CHANGED", "ORGANIZATIONS", "UPDATED (UTC)", "SUMMARY")
			for _, l := range list {
				if l.Run == nil {
					t.row(l.Name, "not started", "-", "-", "-", "-", l.Summary)
					continue
				}
				t.row(l.Name, string(l.Run.State), rowsText(*l.Run), number(l.Run.Changed), number(l.Run.Tenants), moment(&l.Run.UpdatedAt), l.Summary)
			}
			t.write(p.out)
			return nil
		})
	}
}

// prepareBackfill does an act to one backfill and shows it; a nil act shows it only.
func prepareBackfill(
	act func(s *backfills.Service, ctx context.Context, name string) error,
) func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	return func(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
		asJSON := jsonFlag(flags)
		return func(ctx context.Context, args []string) error {
			name, err := only(args, "the name of a backfill; groundwork backfills list shows them")
			if err != nil {
				return err
			}
			return p.withBackfills(ctx, func(s *backfills.Service) error {
				if act != nil {
					if err := act(s, ctx, name); err != nil {
						return err
					}
				}
				l, err := s.Find(ctx, name)
				if err != nil {
					return err
				}
				if *asJSON {
					return writeJSON(p.out, viewOfBackfill(l))
				}
				p.showBackfill(l)
				return nil
			})
		}
	}
}

func (p program) showBackfill(l backfills.Listed) {
	t := newTable()
	t.row("name", l.Name)
	t.row("summary", l.Summary)
	if l.Run == nil {
		t.row("state", "not started")
		t.write(p.out)
		return
	}
	r := *l.Run
	t.row("state", string(r.State))
	t.row("rows", rowsText(r))
	t.row("changed", number(r.Changed))
	t.row("organizations", number(r.Tenants))
	if r.State != backfills.Done {
		t.row("at", r.Tenant.String())
	}
	if took := r.UpdatedAt.Sub(r.StartedAt).Seconds(); took >= 1 && r.Looked > 0 {
		t.row("rows a second", fmt.Sprintf("%.0f", float64(r.Looked)/took))
		if left := r.Expected - r.Looked; r.State == backfills.Running && left > 0 {
			t.row("done in about", (time.Duration(float64(left)/float64(r.Looked)*took) * time.Second).String())
		}
	}
	if r.Error != nil {
		t.row("error", *r.Error)
	}
	t.row("started", moment(&r.StartedAt))
	t.row("updated", moment(&r.UpdatedAt))
	t.row("finished", moment(r.FinishedAt))
	t.write(p.out)
}

// rowsText is how many rows a backfill has looked at, of those that there were.
func rowsText(r backfills.Run) string {
	if r.Expected > r.Looked && r.State != backfills.Done {
		return fmt.Sprintf("%d of about %d (%d %%)", r.Looked, r.Expected, 100*r.Looked/r.Expected)
	}
	return number(r.Looked)
}
