package jobs_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/platform/mediatype"
	"github.com/groundwork-saas/groundwork/store/postgres"
	handlers "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

// TestExport_imports_again_unchanged takes what is hostile to tables out and in again, without a mapping.
func TestExport_imports_again_unchanged(t *testing.T) {
	t.Parallel()
	for _, format := range []transfers.ExportFormat{transfers.CSV, transfers.XLSX} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			s := newImportStand(t)
			tenant := s.scope.Tenant.String()
			s.Exec(t, `insert into customers (tenant_id, id, version, created_at, updated_at, code, name, email, tags, custom)
				select $1, uuid7_floor(now() - make_interval(secs => n)), 1, now(), now(), 'C-' || n,
				(array['=1+1', '''quoted', '-5', '@x', 'a;b|c', 'tab in', '"q", <&> 😀', ' plain'])[n] || n, null,
				case when n % 2 = 0 then '{"a,b","=c"}'::text[] else '{}' end, '{"level": 1.50, "on": true, "t": "=x"}' from generate_series(1, 8) n`, tenant)
			s.Exec(t, `update customers set name = trim(name) where tenant_id = $1`, tenant)
			s.Exec(t, `insert into orders (tenant_id, id, version, created_at, updated_at, customer_id, number, currency, status, placed_at, note, total_cents, lines, tags, custom)
				select $1, uuid7_floor(now() - make_interval(secs => row_number() over ())), 1, now(), now(), id, '-' || code, 'EUR', 'placed', '1996-07-04T01:02:03.000004Z', E'=a\nb', 1500,
				'[{"sku":"+A","description":"","quantity":3,"unit_price_cents":500,"discount_bp":0,"total_cents":1500}]'::jsonb, '{}', '{}' from customers where tenant_id = $1`, tenant)
			made := handlers.MakeExport(transfers.NewExporter(transfers.ExporterNeeds{
				Definitions: catalog.All(), Store: postgres.NewExports(postgres.Shared{DB: s.worker}), Files: s.files,
				Rights: rightsOf(s.worker), Now: time.Now,
			}))
			asks := transfers.NewExports(catalog.All(), s.queue)
			out := func(name string) tenancy.ID {
				e, err := asks.Read(transfers.ExportInput{Resource: name, Format: format})
				require.NoError(t, err)
				id, err := asks.Start(t.Context(), s.scope, e)
				require.NoError(t, err)
				run := s.job(t, id)
				require.NoError(t, made.Run(t.Context(), run))
				done := result(t, run)
				f, err := s.files.Find(t.Context(), s.scope, done.FileID)
				require.NoError(t, err)
				r, err := s.files.Open(t.Context(), f, 0, 3072)
				require.NoError(t, err)
				head, err := io.ReadAll(r)
				require.NoError(t, err)
				require.NoError(t, r.Close())
				assert.Equal(t, f.ContentType, mediatype.Of(head), "told from its first bytes, once it is uploaded")
				return done.FileID
			}
			state := func() []string {
				return append(s.texts(t, `select code || name || tags::text || custom::text from customers where tenant_id = $1 order by 1`, tenant),
					s.texts(t, `select o.number || c.code || o.currency || o.status || o.placed_at || o.note || o.total_cents || o.lines::text || o.tags::text || o.custom::text
						from orders o left join customers c on c.tenant_id = o.tenant_id and c.id = o.customer_id where o.tenant_id = $1 order by 1`, tenant)...)
			}
			before := state()
			require.Len(t, before, 16)
			people, ordered := out("customers"), out("orders")
			// Into what is there: nothing changes.
			again := s.run(t, transfers.ImportRequest{Resource: "customers", FileID: people, Mode: resource.BulkUpsert, By: "code"})
			assert.Zero(t, again.Failed, "%+v %s", again, errorsOf(t, s, again))
			assert.Equal(t, before, state())
			// Into what is gone.
			s.Exec(t, `delete from orders where tenant_id = $1`, tenant)
			in := s.run(t, transfers.ImportRequest{Resource: "orders", FileID: ordered, Mode: resource.BulkCreate})
			assert.EqualValues(t, 8, in.Created, "%+v %s", in, errorsOf(t, s, in))
			assert.Equal(t, before, state())
		})
	}
}

// errorsOf is what an import says of rows that it refused.
func errorsOf(t *testing.T, s *importStand, r transfers.ImportResult) string {
	t.Helper()
	if r.ErrorsFileID == nil {
		return ""
	}
	return s.read(t, r.ErrorsFileID)
}
