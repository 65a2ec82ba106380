package jobs_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/mediatype"
	"github.com/groundwork-saas/groundwork/store/blobs"
	"github.com/groundwork-saas/groundwork/store/postgres"
	workerjobs "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// exporting is an organization with customers, whose exports a worker makes, with files in a folder and mails.
type exporting struct {
	*office

	orders *transfers.Exports
	store  *postgres.Exports
	files  *files.Service
	effect *postgres.Jobs
	worker *postgres.DB
	folder string
	email  string
	scope  tenancy.Scope
}

func newExporting(t *testing.T, n int) *exporting {
	t.Helper()
	x := &exporting{office: newOffice(t), folder: filepath.Join(t.TempDir(), "files")}
	grant, scope := x.signUp(t)
	x.email, x.scope = grant.User.Email, scope
	worker := x.Open(t, postgres.Config{URL: x.WorkerURL})
	for _, d := range catalog.All() {
		require.NoError(t, worker.Register(d.New()))
	}
	router := postgres.Shared{DB: worker}
	x.worker = worker
	x.effect, x.store = postgres.NewJobs(router, nil), postgres.NewExports(router)
	contents, err := blobs.Open(config.Files{FilesStore: "folder", FilesDir: x.folder})
	require.NoError(t, err)
	x.files = files.NewService(files.Needs{
		Store: postgres.NewFiles(router), Contents: contents, Sniff: mediatype.Of, Now: time.Now,
	}, files.Config{})
	x.orders = transfers.NewExports(catalog.All(), postgres.NewJobs(postgres.Shared{DB: x.DB}, nil))
	x.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, code, name, tags, custom)
		select $1, uuid7_floor(now() - make_interval(secs => $2 - n)), 1, now(), now(), 'C-' || n, '=Customer ' || n, '{vip}', '{}'
		from generate_series(1, $2::int) n`, scope.Tenant.String(), n)
	return x
}

// exporter makes exports with what change makes of the usual needs.
func (x *exporting) exporter(change ...func(*transfers.ExporterNeeds)) jobs.Handler {
	needs := transfers.ExporterNeeds{
		Definitions: catalog.All(), Store: x.store, Files: x.files, Rights: rightsOf(x.worker),
		Tell: workerjobs.MailExport(x.effect), Now: time.Now,
	}
	for _, c := range change {
		c(&needs)
	}
	return workerjobs.MakeExport(transfers.NewExporter(needs))
}

// ask asks for an export, and returns its job.
func (x *exporting) ask(t *testing.T, scope tenancy.Scope, in transfers.ExportInput) jobs.Job {
	t.Helper()
	e, err := x.orders.Read(in)
	require.NoError(t, err)
	id, err := x.orders.Start(t.Context(), scope, e)
	require.NoError(t, err)
	job, err := x.queue.FindJob(t.Context(), scope, id)
	require.NoError(t, err)
	assert.Equal(t, "transfers.export", job.Kind)
	x.Exec(t, "delete from jobs where id = $1", id.String())
	return job
}

func (x *exporting) attempt(job jobs.Job) *jobs.Run {
	return &jobs.Run{Job: job, Scope: tenancy.AsSystem(job.Tenant, job.RequestID), Effects: x.effect}
}

func result(t *testing.T, run *jobs.Run) (done transfers.Exported) {
	t.Helper()
	require.NoError(t, json.Unmarshal(run.Result(), &done))
	return done
}

// content is what a file holds.
func (x *exporting) content(t *testing.T, id tenancy.ID) (files.File, string) {
	t.Helper()
	f, err := x.files.Find(t.Context(), x.scope, id)
	require.NoError(t, err)
	r, err := x.files.Open(t.Context(), f, 0, -1)
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return f, string(data)
}

// kept is how many files there are: as rows, and in the folder.
func (x *exporting) kept(t *testing.T) (rows, contents int) {
	t.Helper()
	require.NoError(t, x.Admin(t).QueryRow(t.Context(), "select count(*) from files").Scan(&rows))
	require.NoError(t, filepath.WalkDir(x.folder, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") {
			contents++
		}
		return err
	}))
	return rows, contents
}

func stateOf(err error) jobs.State {
	state, _ := jobs.Decide(transfers.Export{}.JobKind().Complete(), err, 1, 5, time.Now())
	return state
}

func TestExport(t *testing.T) {
	t.Parallel()
	const n = 2500
	t.Run("is_a_file_of_who_asked_and_a_mail", func(t *testing.T) {
		t.Parallel()
		x := newExporting(t, n)
		job := x.ask(t, x.scope, transfers.ExportInput{
			Resource: "customers", Format: transfers.CSV, Fields: []string{"code", "name", "tags"}, Sort: "id",
			Filter: map[string]any{"tags[any]": "vip"},
		})
		run := x.attempt(job)
		var said []jobs.Progress
		run.Report = func(p jobs.Progress) { said = append(said, p) }
		require.NoError(t, x.exporter().Run(t.Context(), run))
		done := result(t, run)
		assert.EqualValues(t, n, done.Rows)
		assert.Equal(t, jobs.Progress{Done: 1000, Total: n, Message: "writing"}, said[1])
		assert.Equal(t, jobs.Progress{Done: n, Total: n, Message: "storing"}, said[len(said)-1])

		f, text := x.content(t, done.FileID)
		assert.Regexp(t, `^customers-\d{4}-\d\d-\d\d-\d{6}\.csv$`, f.Name)
		assert.Equal(t, "export", f.Purpose)
		assert.Equal(t, "text/csv", f.ContentType)
		require.NotNil(t, f.CreatedBy)
		assert.Equal(t, x.scope.Actor.ID, *f.CreatedBy)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, n+1)
		assert.Equal(t, []string{"code", "name", "tags"}, rows[0])
		for i, row := range rows[1:] {
			require.Equal(t, []string{fmt.Sprintf("C-%d", i+1), fmt.Sprintf("'=Customer %d", i+1), `["vip"]`}, row)
		}

		require.Equal(t, []error{nil}, x.work(t, x.scope.Tenant))
		m := x.mailTo(t, x.email)
		assert.Equal(t, "Your export of customers is ready", m.Subject)
		for _, text := range []string{m.Text, m.HTML} {
			assert.Contains(t, text, "https://app.example.com/exports#job="+job.ID.String())
			assert.Contains(t, text, "Northwind")
			assert.Contains(t, text, "2500")
		}

		// An attempt that follows makes nothing more.
		again := x.attempt(job)
		require.NoError(t, x.exporter().Run(t.Context(), again))
		assert.Equal(t, done, result(t, again))
		made, contents := x.kept(t)
		assert.Equal(t, []int{1, 1}, []int{made, contents})
		assert.Empty(t, x.pending(t, x.scope.Tenant))
	})
	t.Run("is_told_to_nobody_where_a_key_asked_or_who_asked_has_left", func(t *testing.T) {
		t.Parallel()
		x := newExporting(t, 1)
		x.Exec(t, "delete from jobs")
		in := transfers.ExportInput{Resource: "customers", Format: transfers.JSONL}
		asKey := x.attempt(x.ask(t, x.key(t, "customers:read"), in))
		require.NoError(t, x.exporter().Run(t.Context(), asKey))
		assert.Empty(t, x.pending(t, x.scope.Tenant))

		left := x.attempt(x.ask(t, x.scope, in))
		require.NoError(t, x.exporter().Run(t.Context(), left))
		x.Exec(t, "delete from memberships where user_id = $1", x.scope.Actor.ID.String())
		sent := x.countTo(x.email)
		ended := x.work(t, x.scope.Tenant)
		require.Len(t, ended, 1)
		assert.Equal(t, jobs.Cancelled, stateOf(ended[0]))
		assert.Equal(t, sent, x.countTo(x.email))
	})
	t.Run("leaves_nothing_where_it_is_cancelled_at_the_end", func(t *testing.T) {
		t.Parallel()
		for format, at := range map[transfers.ExportFormat]string{transfers.CSV: "writing", transfers.XLSX: "writing", transfers.JSONL: "storing"} {
			x := newExporting(t, n)
			ctx, cancel := context.WithCancel(t.Context())
			run := x.attempt(x.ask(t, x.scope, transfers.ExportInput{Resource: "customers", Format: format}))
			run.Report = func(p jobs.Progress) {
				if p.Message == at && p.Done >= 2000 {
					cancel()
				}
			}
			require.ErrorIs(t, x.exporter().Run(ctx, run), context.Canceled, format)
			made, contents := x.kept(t)
			assert.Equal(t, []int{0, 0}, []int{made, contents}, format)
			assert.Empty(t, x.pending(t, x.scope.Tenant), format)
		}
	})
	t.Run("is_one_file_whoever_makes_it", func(t *testing.T) {
		t.Parallel()
		x := newExporting(t, 10)
		x.Exec(t, "delete from jobs")
		job := x.ask(t, x.scope, transfers.ExportInput{Resource: "customers", Format: transfers.CSV})
		const together = 4
		var produced, all sync.WaitGroup
		produced.Add(together)
		runs := make([]*jobs.Run, together)
		errs := make([]error, together)
		for i := range runs {
			runs[i] = x.attempt(job)
			runs[i].Report = func(p jobs.Progress) {
				if p.Message == "storing" { // each is as far as the others
					produced.Done()
					produced.Wait()
				}
			}
			all.Go(func() { errs[i] = x.exporter().Run(t.Context(), runs[i]) })
		}
		all.Wait()
		for i := range runs {
			require.NoError(t, errs[i])
			assert.Equal(t, result(t, runs[0]), result(t, runs[i]))
		}
		made, contents := x.kept(t)
		assert.Equal(t, []int{1, 1}, []int{made, contents})
		assert.Len(t, x.pending(t, x.scope.Tenant), 1, "one mail")
	})
	t.Run("comes_to_be_with_the_mail_or_not_at_all", func(t *testing.T) {
		t.Parallel()
		x := newExporting(t, 10)
		run := x.attempt(x.ask(t, x.scope, transfers.ExportInput{Resource: "customers", Format: transfers.CSV}))
		died := errors.New("died")
		broken := x.exporter(func(n *transfers.ExporterNeeds) {
			n.Tell = func(context.Context, *jobs.Run, transfers.Export, transfers.Exported) error { return died }
		})
		require.ErrorIs(t, broken.Run(t.Context(), run), died)
		made, _ := x.kept(t)
		assert.Zero(t, made)
		require.NoError(t, x.exporter().Run(t.Context(), run), "and is made by the next attempt")
		made, _ = x.kept(t)
		assert.Equal(t, 1, made)
	})
	t.Run("is_dead_where_there_is_no_room_or_nothing_fits", func(t *testing.T) {
		t.Parallel()
		x := newExporting(t, 10)
		in := transfers.ExportInput{Resource: "customers", Format: transfers.XLSX}
		x.Exec(t, "update customers set custom = jsonb_build_object('x', repeat('y', 40000)) where code = 'C-3'")
		err := x.exporter().Run(t.Context(), x.attempt(x.ask(t, x.scope, in)))
		require.ErrorContains(t, err, "custom")
		assert.Equal(t, jobs.Dead, stateOf(err))

		in.Format = transfers.CSV
		small := x.exporter(func(n *transfers.ExporterNeeds) {
			contents, err := blobs.Open(config.Files{FilesStore: "folder", FilesDir: x.folder})
			require.NoError(t, err)
			n.Files = files.NewService(files.Needs{
				Store: postgres.NewFiles(postgres.Shared{DB: x.DB}), Contents: contents, Sniff: mediatype.Of, Now: time.Now,
			}, files.Config{QuotaBytes: 1000})
		})
		err = small.Run(t.Context(), x.attempt(x.ask(t, x.scope, in)))
		require.ErrorContains(t, err, "file.quota_exceeded")
		assert.Equal(t, jobs.Dead, stateOf(err))
		made, contents := x.kept(t)
		assert.Equal(t, []int{0, 0}, []int{made, contents})
	})
	t.Run("has_one_organization_s_records_only", func(t *testing.T) {
		t.Parallel()
		x := newExporting(t, 5)
		other := x.Tenant(t)
		x.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, name, tags, custom)
			values ($1, gen_random_uuid(), 1, now(), now(), 'theirs', '{}', '{}')`, other.Tenant.String())
		run := x.attempt(x.ask(t, x.scope, transfers.ExportInput{
			Resource: "customers", Format: transfers.JSONL, Filter: map[string]any{"trashed": "with"},
		}))
		require.NoError(t, x.exporter().Run(t.Context(), run))
		_, text := x.content(t, result(t, run).FileID)
		assert.NotContains(t, text, "theirs")
		assert.Equal(t, 5, strings.Count(text, "\n"))
		var c customers.Customer
		require.NoError(t, json.Unmarshal([]byte(text[:strings.Index(text, "\n")]), &c))
		assert.Equal(t, "=Customer 5", c.Name)
	})
}
