package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/scheduler/internal/schedule"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// work is what the schedules of these tests have done.
type work struct{}

func (work) JobKind() jobs.Kind { return jobs.Kind{Name: "test.work"} }

// alone is work that is not enqueued while it lives.
type alone struct{}

func (alone) JobKind() jobs.Kind { return jobs.Kind{Name: "test.alone", Unique: jobs.UniqueWhileLive} }

// nightly is at two in each tenant's night.
func nightly(change ...func(*schedules.Schedule)) schedules.Schedule {
	s := schedules.Schedule{
		Name: "nightly", Rule: schedules.Daily(2, 0), PerTenant: true,
		Job: func(schedules.Occurrence) jobs.Args { return work{} },
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

// stand is a database of a test's own and a clock that the test sets.
type stand struct {
	*storetest.Stack

	mu    sync.Mutex
	now   time.Time
	woken map[string]int
}

func newStand(tb testing.TB, now string) *stand {
	tb.Helper()
	s := &stand{Stack: storetest.New(tb), woken: map[string]int{}}
	s.set(tb, now)
	return s
}

func (s *stand) set(tb testing.TB, now string) {
	tb.Helper()
	at, err := time.Parse(time.RFC3339, now)
	require.NoError(tb, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = at
}

// clocked is the store with a clock that is set in the place of the database's.
type clocked struct {
	schedules.Store

	clock func() time.Time
}

func (c clocked) Now(context.Context) (time.Time, error) { return c.clock(), nil }

// replica is a scheduler with connections of its own; its clock is ahead of the test's.
func (s *stand) replica(tb testing.TB, ahead func() time.Duration, table ...schedules.Schedule) *schedule.Scheduler {
	tb.Helper()
	store := postgres.NewSchedules(s.Open(tb, postgres.Config{URL: s.SystemURL}), func(queue string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.woken[queue]++
	})
	log := logrus.New()
	log.SetOutput(io.Discard)
	scheduler, err := schedule.New(schedule.Config{
		Store: clocked{store, func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.now.Add(ahead())
		}},
		Schedules: table, Log: log, Registry: prometheus.NewRegistry(),
	})
	require.NoError(tb, err)
	return scheduler
}

func onTime() time.Duration { return 0 }

// step reconciles and meets what is due.
func step(tb testing.TB, r *schedule.Scheduler) {
	tb.Helper()
	require.NoError(tb, r.Reconcile(tb.Context()))
	require.NoError(tb, r.Meet(tb.Context()))
}

// tenant makes a tenant in a zone.
func (s *stand) tenant(tb testing.TB, zone string) tenancy.ID {
	tb.Helper()
	id := s.TenantID(tb)
	s.Exec(tb, "update tenants set time_zone = $2 where id = $1", id, zone)
	return id
}

// made are the times for which a tenant has jobs, in order.
func (s *stand) made(tb testing.TB, tenant tenancy.ID) []string {
	tb.Helper()
	rows, err := s.Admin(tb).Query(tb.Context(), "select request_id from jobs where tenant_id = $1 order by request_id", tenant)
	require.NoError(tb, err)
	times, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(tb, err)
	for i, id := range times {
		_, err := fmt.Sscanf(id, "schedule/nightly/%s", &times[i])
		require.NoError(tb, err)
	}
	return times
}

func TestScheduler(t *testing.T) {
	t.Parallel()
	t.Run("makes_each_tenants_job_at_its_own_night", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-11-25T12:00:00Z")
		berlin, apia := s.tenant(t, "Europe/Berlin"), s.tenant(t, "Pacific/Apia")
		r := s.replica(t, onTime, nightly())
		step(t, r)
		assert.Empty(t, s.made(t, berlin))
		s.set(t, "2026-11-25T13:00:00Z") // two in the morning of the 26th, in Apia
		step(t, r)
		assert.Equal(t, []string{"2026-11-26T02:00:00"}, s.made(t, apia))
		assert.Empty(t, s.made(t, berlin))
		s.set(t, "2026-11-26T01:00:00Z")
		step(t, r)
		assert.Equal(t, []string{"2026-11-26T02:00:00"}, s.made(t, berlin))
		assert.Equal(t, map[string]int{jobs.Default: 2}, s.woken)
	})
	t.Run("three_replicas_whose_clocks_jump_meet_each_time_once", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-10-23T00:00:00Z")
		zones := []string{"Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "UTC"}
		tenants := make([]tenancy.ID, 40)
		for i := range tenants {
			tenants[i] = s.tenant(t, zones[i%len(zones)])
		}
		table := nightly(func(c *schedules.Schedule) { c.Spread = time.Hour })
		var replicas []*schedule.Scheduler
		for range 3 {
			replicas = append(replicas, s.replica(t, func() time.Duration { return rand.N(6*time.Hour) - 3*time.Hour }, table))
		}
		step(t, replicas[0])
		var running sync.WaitGroup
		ctx := t.Context()
		for _, r := range replicas {
			running.Go(func() {
				for range 60 { // five days; clocks are set back on the 25th
					s.mu.Lock()
					s.now = s.now.Add(40 * time.Minute)
					s.mu.Unlock()
					assert.NoError(t, errors.Join(r.Reconcile(ctx), r.Meet(ctx)))
				}
			})
		}
		running.Wait()
		s.set(t, "2026-10-28T12:00:00Z")
		step(t, s.replica(t, onTime, table))
		for i, tenant := range tenants {
			made := s.made(t, tenant)
			seen := map[string]bool{}
			for _, each := range made {
				assert.False(t, seen[each], "%s has two jobs for %s", zones[i%len(zones)], each)
				seen[each] = true
			}
			// What was caught up with in one, where a clock jumped over a night, is at most that.
			assert.GreaterOrEqual(t, len(made), 4, zones[i%len(zones)])
			assert.LessOrEqual(t, len(made), 6, zones[i%len(zones)])
		}
	})
	t.Run("catches_up_once_or_skips", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-11-20T12:00:00Z")
		tenant := s.tenant(t, "Europe/Berlin")
		late := nightly(func(c *schedules.Schedule) {
			c.Name, c.Missed = "skipping", schedules.Skip
			c.Job = func(schedules.Occurrence) jobs.Args { return alone{} }
		})
		r := s.replica(t, onTime, nightly(), late)
		step(t, r)
		s.set(t, "2026-11-25T12:00:00Z")
		step(t, r)
		step(t, r)
		assert.Equal(t, []string{"2026-11-25T02:00:00"}, s.made(t, tenant))
		var next string
		require.NoError(t, s.Admin(t).QueryRow(t.Context(), "select next_time::text from schedule_cursors where schedule = 'skipping' and tenant_id = $1", tenant).Scan(&next))
		assert.Equal(t, "2026-11-26 02:00:00", next)
	})
	t.Run("follows_tenants_that_come_move_and_are_suspended", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-11-20T12:00:00Z")
		r := s.replica(t, onTime, nightly())
		step(t, r)
		tenant := s.tenant(t, "UTC") // comes after the scheduler
		step(t, r)
		s.Exec(t, "update tenants set time_zone = 'Asia/Tokyo' where id = $1", tenant)
		s.set(t, "2026-11-20T17:00:00Z") // two in the morning of the 21st, in Tokyo
		step(t, r)
		assert.Equal(t, []string{"2026-11-21T02:00:00"}, s.made(t, tenant))
		s.Exec(t, "update tenants set state = 'suspended' where id = $1", tenant)
		s.set(t, "2026-11-23T17:00:00Z")
		require.NoError(t, r.Meet(t.Context())) // before anything is reconciled
		step(t, r)
		assert.Len(t, s.made(t, tenant), 1)
		s.Exec(t, "update tenants set state = 'active' where id = $1", tenant)
		step(t, r)
		assert.Equal(t, []string{"2026-11-21T02:00:00", "2026-11-24T02:00:00"}, s.made(t, tenant))
	})
	t.Run("a_schedule_that_is_taken_out_and_put_back_meets_nothing_twice", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-11-20T12:00:00Z")
		tenant := s.tenant(t, "UTC")
		with, without := s.replica(t, onTime, nightly()), s.replica(t, onTime)
		step(t, with)
		s.set(t, "2026-11-21T02:00:00Z")
		step(t, with)
		s.set(t, "2026-11-23T12:00:00Z")
		step(t, without)
		assert.Len(t, s.made(t, tenant), 1)
		s.Exec(t, "delete from schedule_cursors") // as an operator might
		s.set(t, "2026-11-21T01:00:00Z")
		step(t, with)
		s.set(t, "2026-11-21T03:00:00Z")
		step(t, with)
		assert.Equal(t, []string{"2026-11-21T02:00:00"}, s.made(t, tenant))
	})
	t.Run("a_rule_that_changes_moves_the_cursors", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-11-20T12:00:00Z")
		tenant := s.tenant(t, "UTC")
		step(t, s.replica(t, onTime, nightly()))
		r := s.replica(t, onTime, nightly(func(c *schedules.Schedule) { c.Rule = schedules.Daily(22, 0) }))
		s.set(t, "2026-11-20T22:00:00Z")
		step(t, r)
		assert.Empty(t, s.made(t, tenant), "it counts from when it was seen")
		s.set(t, "2026-11-21T22:00:00Z")
		step(t, r)
		assert.Equal(t, []string{"2026-11-21T22:00:00"}, s.made(t, tenant))
	})
	t.Run("the_installations_own_schedule_is_the_reserved_tenants", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-11-20T12:00:00Z")
		tenant := s.tenant(t, "UTC")
		rule, err := schedule.Cron("*/20 9-17 * * mon-fri")
		require.NoError(t, err)
		r := s.replica(t, onTime, nightly(func(c *schedules.Schedule) { c.Rule, c.PerTenant, c.Zone = rule, false, "Europe/Berlin" }))
		step(t, r)
		for _, now := range []string{"2026-11-20T12:20:00Z", "2026-11-20T16:40:00Z", "2026-11-22T12:00:00Z", "2026-11-23T08:00:00Z"} {
			s.set(t, now)
			step(t, r)
		}
		assert.Empty(t, s.made(t, tenant))
		// That of the evening was missed: it is caught up with.
		assert.Equal(t, []string{"2026-11-20T13:20:00", "2026-11-20T17:40:00", "2026-11-23T09:00:00"}, s.made(t, tenancy.SystemTenant))
	})
	t.Run("a_job_whose_key_is_taken_is_not_made", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-11-20T12:00:00Z")
		tenant := s.tenant(t, "UTC")
		r := s.replica(t, onTime, nightly(func(c *schedules.Schedule) {
			c.Job = func(schedules.Occurrence) jobs.Args { return alone{} }
		}))
		step(t, r)
		for _, now := range []string{"2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z"} {
			s.set(t, now)
			step(t, r)
		}
		assert.Equal(t, []string{"2026-11-21T02:00:00"}, s.made(t, tenant), "that of the night before has not ended")
	})
	t.Run("forgets_what_was_met_long_ago", func(t *testing.T) {
		t.Parallel()
		s := newStand(t, "2026-11-20T12:00:00Z")
		s.tenant(t, "UTC")
		r := s.replica(t, onTime, nightly())
		step(t, r)
		s.set(t, "2026-11-21T02:00:00Z")
		step(t, r)
		require.NoError(t, r.Prune(t.Context()))
		count := func(table string) (n int) {
			require.NoError(t, s.Admin(t).QueryRow(t.Context(), "select count(*) from "+table).Scan(&n))
			return n
		}
		assert.Equal(t, 1, count("schedule_times"))
		s.Exec(t, "update schedule_times set at = '2026-01-01'")
		s.Exec(t, "update schedule_cursors set next_at = '2026-01-01'")
		require.NoError(t, r.Prune(t.Context()))
		assert.Zero(t, count("schedule_times"))
		assert.Equal(t, 1, count("schedule_cursors"), "a schedule that is declared keeps its place")
		require.NoError(t, s.replica(t, onTime).Prune(t.Context()))
		assert.Zero(t, count("schedule_cursors"))
	})
}

func TestScheduler_runs_by_itself(t *testing.T) {
	t.Parallel()
	s := newStand(t, "2026-11-20T12:00:00Z")
	tenant := s.tenant(t, "UTC")
	r := s.replica(t, onTime, nightly())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	admin := s.Admin(t)
	count := func(table string) func() bool {
		return func() bool {
			var n int
			return admin.QueryRow(ctx, "select count(*) from "+table+" where tenant_id = $1", tenant).Scan(&n) == nil && n == 1
		}
	}
	require.Eventually(t, count("schedule_cursors"), time.Minute, 5*time.Millisecond)
	s.set(t, "2026-11-21T02:00:00Z")
	require.Eventually(t, count("jobs"), time.Minute, 5*time.Millisecond)
	cancel()
	<-done
}

func TestTable(t *testing.T) {
	t.Parallel()
	table, err := schedule.Table()
	require.NoError(t, err)
	_, err = schedule.New(schedule.Config{Schedules: table, Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	_, err = schedule.New(schedule.Config{Schedules: append(table, table[0]), Registry: prometheus.NewRegistry()})
	require.ErrorContains(t, err, table[0].Name)
}

func TestCron(t *testing.T) {
	t.Parallel()
	times := func(t *testing.T, text, zone, from string, n int) (found []string) {
		t.Helper()
		rule, err := schedule.Cron(text)
		require.NoError(t, err)
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		at, err := time.Parse(time.RFC3339, from)
		require.NoError(t, err)
		for range n {
			_, at = schedules.NextIn(rule, at, location)
			found = append(found, at.Format(time.RFC3339))
		}
		return found
	}
	t.Run("is_met_once_when_clocks_are_set_back", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}, times(t, "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2))
	})
	t.Run("is_met_once_when_clocks_are_set_forward", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}, times(t, "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2))
	})
	t.Run("what_it_cannot_mean_is_refused", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "x", "* * * *", "0 0 * * * *", "61 * * * *", "TZ=Europe/Berlin 0 2 * * *", "@every 10m"} {
			_, err := schedule.Cron(text)
			require.ErrorContains(t, err, fmt.Sprintf("%q", text))
		}
	})
	t.Run("what_never_comes_is_refused", func(t *testing.T) {
		t.Parallel()
		rule, err := schedule.Cron("0 0 30 2 *")
		require.NoError(t, err)
		require.ErrorContains(t, nightly(func(c *schedules.Schedule) { c.Rule = rule }).Check(), "never comes")
	})
}

// BenchmarkScheduler_ten_thousand_due measures how fast the times of ten thousand tenants are met that fall due at once.
func BenchmarkScheduler_ten_thousand_due(b *testing.B) {
	s := newStand(b, "2026-11-20T12:00:00Z")
	s.Exec(b, `insert into tenants (id, name, time_zone, created_at, updated_at)
		select gen_random_uuid(), 'Test', 'Europe/Berlin', now(), now() from generate_series(1, 10000)`)
	r := s.replica(b, onTime, nightly())
	begun := time.Now()
	require.NoError(b, r.Reconcile(b.Context()))
	first := time.Since(begun)
	begun = time.Now()
	require.NoError(b, r.Reconcile(b.Context()))
	settled := time.Since(begun)
	begun = time.Now()
	n := 0
	for b.Loop() {
		n++
		s.mu.Lock()
		s.now = s.now.Add(24 * time.Hour)
		s.mu.Unlock()
		require.NoError(b, r.Meet(b.Context()))
	}
	b.ReportMetric(float64(n)*10000/time.Since(begun).Seconds(), "fires/s")
	b.ReportMetric(first.Seconds()*1000, "ms/first-reconcile")
	b.ReportMetric(settled.Seconds()*1000, "ms/reconcile")
	var made int
	require.NoError(b, s.Admin(b).QueryRow(b.Context(), "select count(*) from jobs").Scan(&made))
	require.Equal(b, 10000*n, made)
}
