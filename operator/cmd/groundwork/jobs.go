package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

func jobCommands() []command {
	return []command{
		{
			name: "jobs stats", usage: "[--queue QUEUE]", summary: "count the jobs of each queue by state",
			detail: "Jobs that have ended well or were cancelled are not counted: they are history.", prepare: prepareStats,
		},
		{
			name: "jobs list", usage: "[--tenant ID] [--kind KIND] [--queue QUEUE] [--state STATE,…] [--limit N]",
			summary: "list jobs of all organizations, the newest first",
			detail:  "States: " + strings.Join(stateNames(), ", ") + ".", prepare: prepareList,
		},
		{
			name: "jobs show", usage: "ID", summary: "show all there is to know of a job, its attempts and stacks included",
			prepare: prepareShow,
		},
		{
			name: "jobs retry", usage: "ID… | --dead [--queue QUEUE] [--kind KIND]", summary: "have dead jobs run again",
			detail:  "With --dead it is every dead job of a queue, of a kind, or of a kind in a queue; at least one of them is named.",
			prepare: prepareRetry,
		},
		{
			name: "jobs cancel", usage: "ID…", summary: "cancel jobs that wait, and ask running ones to end",
			detail: "A running job ends when its worker learns of it, which takes up to a third of a lease.", prepare: prepareCancel,
		},
	}
}

func prepareStats(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	queue, asJSON := queueFlag(flags), jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		if err := errors.Join(none(args), checkQueue(*queue)); err != nil {
			return err
		}
		return p.withOffice(ctx, func(o office) error {
			queues, err := o.stats(ctx, *queue)
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(p.out, queues)
			}
			t := newTable("QUEUE", "SCHEDULED", "PENDING", "RUNNING", "RETRYING", "DEAD", "OLDEST PENDING", "OLDEST DEAD", "")
			for _, q := range queues {
				paused := ""
				if q.Paused {
					paused = "paused"
				}
				t.row(q.Queue, number(q.Scheduled), number(q.Pending), number(q.Running), number(q.Retrying), number(q.Dead),
					age(q.OldestPending), age(q.OldestDead), paused)
			}
			t.write(p.out)
			return nil
		})
	}
}

func prepareList(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	tenant := flags.String("tenant", "", "only those of the organization with this `ID`")
	kind := kindFlag(flags)
	queue := queueFlag(flags)
	states := flags.String("state", "", "only those in one of these `STATES`, separated by commas")
	limit := flags.Int("limit", 50, "at most `N`, up to 1000")
	asJSON := jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		query := postgres.OperatorQuery{Query: jobs.Query{Kind: *kind, Queue: *queue}}
		if err := errors.Join(none(args), checkQueue(*queue)); err != nil {
			return err
		}
		if *limit < 1 || *limit > 1000 {
			return usageError("--limit is %d; it is 1 to 1000", *limit)
		}
		var err error
		if query.States, err = parseStates(*states); err != nil {
			return err
		}
		if *tenant != "" {
			if query.Tenant, err = parseID(*tenant); err != nil {
				return err
			}
		}
		return p.withOffice(ctx, func(o office) error {
			found, err := o.list(ctx, query, *limit)
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(p.out, views(found))
			}
			t := newTable("ID", "TENANT", "KIND", "QUEUE", "STATE", "ATTEMPT", "CREATED (UTC)", "ERROR")
			for _, j := range found {
				t.row(j.ID.String(), j.Tenant.String(), j.Kind, j.Queue, stateText(j), attemptText(j), moment(&j.CreatedAt), errorText(j))
			}
			t.write(p.out)
			return nil
		})
	}
}

func prepareShow(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	asJSON := jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		word, err := only(args, "the ID of a job")
		if err != nil {
			return err
		}
		id, err := parseID(word)
		if err != nil {
			return err
		}
		return p.withOffice(ctx, func(o office) error {
			j, err := o.find(ctx, id)
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(p.out, viewOf(j))
			}
			p.show(j)
			return nil
		})
	}
}

// show writes a job as a list of its fields, and its failures below.
func (p program) show(j jobs.Job) {
	t := newTable()
	t.row("id", j.ID.String())
	t.row("tenant", j.Tenant.String())
	t.row("kind", j.Kind)
	t.row("queue", j.Queue)
	t.row("state", stateText(j))
	t.row("attempt", attemptText(j))
	if j.Progress != nil {
		t.row("progress", strings.TrimSpace(fmt.Sprintf("%d of %d %s", j.Progress.Done, j.Progress.Total, j.Progress.Message)))
	}
	t.row("arguments", string(j.Args))
	if j.Result != nil {
		t.row("result", string(j.Result))
	}
	if j.Error != nil {
		t.row("error", *j.Error)
	}
	t.row("request", j.RequestID)
	t.row("worker", j.Worker)
	t.row("created", moment(&j.CreatedAt))
	t.row("to run", moment(&j.RunAt))
	t.row("started", moment(j.StartedAt))
	t.row("finished", moment(j.FinishedAt))
	t.write(p.out)
	for _, f := range j.Failures {
		fmt.Fprintf(p.out, "\nattempt %d, %s to %s, on %s\n  %s\n", f.Attempt, moment(&f.StartedAt), moment(&f.EndedAt),
			printable(f.Worker), printable(f.Error))
		for line := range strings.Lines(f.Stack) {
			fmt.Fprintln(p.out, "    "+strings.TrimRight(printable(strings.ReplaceAll(line, "\t", "  ")), " "))
		}
	}
}

func prepareRetry(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	dead := flags.Bool("dead", false, "every dead job of the --queue, the --kind, or both")
	queue, kind, asJSON := queueFlag(flags), kindFlag(flags), jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		switch err := checkQueue(*queue); {
		case err != nil:
			return err
		case *dead && len(args) > 0:
			return usageError("--dead is for all of a queue or kind; leave the IDs out, or --dead")
		case *dead && *queue == "" && *kind == "":
			return usageError("--dead needs --queue or --kind, so that not everything that ever died runs again by mistake")
		case !*dead && (*queue != "" || *kind != ""):
			return usageError("--queue and --kind go with --dead; without it, name the IDs of jobs")
		case *dead:
			return p.withOffice(ctx, func(o office) error {
				n, err := o.engine.RetryAllDead(ctx, *kind, *queue, p.now())
				if err != nil {
					return err
				}
				if *asJSON {
					return writeJSON(p.out, map[string]int{"retried": n})
				}
				fmt.Fprintf(p.out, "%s will run again\n", count(int64(n)))
				return nil
			})
		}
		return p.each(ctx, args, asJSON, office.retry)
	}
}

func prepareCancel(p program, flags *flag.FlagSet) func(ctx context.Context, args []string) error {
	asJSON := jsonFlag(flags)
	return func(ctx context.Context, args []string) error { return p.each(ctx, args, asJSON, office.cancel) }
}

// outcome is what became of one of several jobs.
type outcome struct {
	ID    tenancy.ID `json:"id"`
	State jobs.State `json:"state,omitempty"`
	Error string     `json:"error,omitempty"`
}

// each does the same to every job, whatever comes of the others.
func (p program) each(
	ctx context.Context, words []string, asJSON *bool, act func(o office, ctx context.Context, id tenancy.ID) (jobs.Job, error),
) error {
	if len(words) == 0 {
		return usageError("it takes the IDs of jobs; groundwork jobs list shows them")
	}
	ids := make([]tenancy.ID, len(words))
	for i, word := range words {
		var err error
		if ids[i], err = parseID(word); err != nil {
			return err
		}
	}
	return p.withOffice(ctx, func(o office) error {
		outcomes, wrong := make([]outcome, len(ids)), false
		for i, id := range ids {
			job, err := act(o, ctx, id)
			outcomes[i] = outcome{ID: id, State: job.State.Public()}
			if err != nil {
				outcomes[i], wrong = outcome{ID: id, Error: explain(err)}, true
			}
		}
		if *asJSON {
			if err := writeJSON(p.out, outcomes); err != nil {
				return err
			}
		} else {
			t := newTable()
			for _, o := range outcomes {
				t.row(o.ID.String(), string(o.State)+o.Error)
			}
			t.write(p.out)
		}
		if wrong {
			return errReported
		}
		return nil
	})
}

// operatorView is a job as JSON shows it to an operator: all there is.
type operatorView struct {
	jobs.Job

	Tenant tenancy.ID `json:"tenant_id"`
	Worker string     `json:"worker"`
}

func viewOf(j jobs.Job) operatorView { return operatorView{Job: j, Tenant: j.Tenant, Worker: j.Worker} }

func views(list []jobs.Job) []operatorView {
	all := make([]operatorView, len(list))
	for i, j := range list {
		all[i] = viewOf(j)
	}
	return all
}

func queueFlag(flags *flag.FlagSet) *string {
	return flags.String("queue", "", "only this `QUEUE`: "+strings.Join(jobs.Queues(), ", "))
}

func kindFlag(flags *flag.FlagSet) *string {
	return flags.String("kind", "", "only jobs of this `KIND`")
}

func checkQueue(name string) error {
	if name != "" && !slices.Contains(jobs.Queues(), name) {
		return usageError("there is no queue %q; the queues are %s", name, strings.Join(jobs.Queues(), ", "))
	}
	return nil
}

func none(args []string) error {
	if len(args) > 0 {
		return usageError("it does not take %q", args[0])
	}
	return nil
}

func parseStates(text string) ([]jobs.State, error) {
	if text == "" {
		return nil, nil
	}
	var states []jobs.State
	for name := range strings.SplitSeq(text, ",") {
		if !slices.Contains(stateNames(), name) {
			return nil, usageError("there is no state %q; the states are %s", name, strings.Join(stateNames(), ", "))
		}
		states = append(states, jobs.State(name))
	}
	return states, nil
}

func stateNames() []string {
	var names []string
	for _, state := range jobs.PublicStates() {
		names = append(names, string(state))
	}
	return names
}

func stateText(j jobs.Job) string {
	if j.CancelRequested && j.State == jobs.Running {
		return "running, to be cancelled"
	}
	return string(j.State)
}

func attemptText(j jobs.Job) string { return fmt.Sprintf("%d of %d", j.Attempt, j.MaxAttempts) }

func errorText(j jobs.Job) string {
	if j.Error == nil {
		return ""
	}
	return shorten(*j.Error, 60)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func count(n int64) string {
	if n == 1 {
		return "1 job"
	}
	return number(n) + " jobs"
}
