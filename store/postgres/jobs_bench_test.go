package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// What jobs cost the database, in jobs a second: saved one by one and in batches, picked, claimed and settled. Behind
// them stand 100,000 jobs that wait elsewhere and 100,000 that have ended.
//
//	go test ./postgres -run '^$' -bench Jobs

func newJobsBench(b *testing.B) *jobsSample {
	b.Helper()
	s := newJobsSample(b)
	s.App.sql.SetMaxOpenConns(16)
	s.App.sql.SetMaxIdleConns(16)
	s.fill(b, jobs.Reports, "pending", 100, 1000)
	s.Exec(b, `insert into jobs_finished (tenant_id, id, kind, queue, state, attempt, max_attempts, run_at, created_at, finished_at,
		worker, cancel_requested, request_id, args, failures)
		select gen_random_uuid(), gen_random_uuid(), 'test.work', 'default', 'succeeded', 1, 20, now(), now(), now(), 'w', false, '', '{}', '[]'
		from generate_series(1, 100000)`)
	s.Exec(b, "vacuum analyze")
	return s
}

func perSecond(b *testing.B, n int) {
	b.Helper()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkJobsEnqueue(b *testing.B) {
	s := newJobsBench(b)
	scope := s.scope(b)
	enqueue := func(ctx context.Context, list ...jobs.New) error {
		return s.App.InTx(ctx, scope, func(ctx context.Context) error {
			_, err := s.Jobs.Enqueue(ctx, scope, list...)
			return err
		})
	}
	s.Jobs.wake = func(string) {}
	b.Run("one in a transaction", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, enqueue(b.Context(), newJob1()))
		}
		perSecond(b, b.N)
	})
	b.Run("one in a transaction, 16 at once", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := enqueue(b.Context(), newJob1()); err != nil {
					b.Error(err)
				}
			}
		})
		perSecond(b, b.N)
	})
	b.Run("one with a key", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			require.NoError(b, enqueue(b.Context(), newJob1(keyed(fmt.Sprint(n), jobs.UniqueWhileLive, 0))))
		}
		perSecond(b, b.N)
	})
	b.Run("500", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, enqueue(b.Context(), many(500)...))
		}
		perSecond(b, 500*b.N)
	})
}

func BenchmarkJobsPick(b *testing.B) {
	for _, tenants := range []int{1, 50, 300, 10_000} {
		b.Run(fmt.Sprintf("100 of %d tenants", tenants), func(b *testing.B) {
			s := newJobsBench(b)
			s.fill(b, jobs.Default, "pending", tenants, 100_000/tenants)
			s.fill(b, jobs.Default, "scheduled", 10_000, 1)
			var cursor tenancy.ID
			n := 0
			b.ResetTimer()
			for range b.N {
				picked, err := s.Engine.Pick(b.Context(), jobs.Default, 100, cursor, func([]jobs.Ref) error { return nil })
				require.NoError(b, err)
				cursor = picked.Cursor
				n += picked.Jobs
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// Claimed and settled in batches, as a worker with many jobs at a time does, from some connections at once.
func BenchmarkJobsClaimAndSettle(b *testing.B) {
	for _, batch := range []int{1, 10, 25, 50} {
		for _, at := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d from %d connections", batch, at), func(b *testing.B) {
				s := newJobsBench(b)
				scope := s.scope(b)
				s.Jobs.wake = func(string) {}
				refs := s.enqueue(b, scope, many(batch*b.N)...)
				var next atomic.Int64
				b.SetParallelism(at)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						from := int(next.Add(1)-1) * batch
						claimed, _, err := s.Engine.Claim(b.Context(), "w", refs[from:from+batch], lease)
						if err != nil || len(claimed) != batch {
							b.Errorf("%d claimed: %v", len(claimed), err)
							return
						}
						outcomes := make([]jobs.Outcome, batch)
						for i, job := range claimed {
							outcomes[i] = jobs.Outcome{Attempt: attemptOf(job), State: jobs.Succeeded}
						}
						if _, err := s.Engine.Settle(b.Context(), outcomes); err != nil {
							b.Error(err)
						}
					}
				})
				perSecond(b, batch*b.N)
			})
		}
	}
}
