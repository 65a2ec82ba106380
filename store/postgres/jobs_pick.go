package postgres

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// openPick begins a pick: one dispatcher picks from a queue at a time, which is what makes caps strict and the round of
// lanes fair. One that stops between its statements frees the queue when its transaction has been idle for two seconds.
const openPick = `select pg_try_advisory_xact_lock($1),
	exists (select from job_queues q where q.queue = $2 and q.paused_at is not null),
	set_config('idle_in_transaction_session_timeout', '2s', true)`

// nextLanes skips through the lanes that have pending jobs, in the order of their ids, however many jobs each has, and
// in each through the caps that its jobs have.
const nextLanes = `with recursive lanes as (
	  (select j.lane from jobs j
	   where j.queue = $1 and j.state = 'pending' and j.lane > $2::uuid and j.lane <= $3::uuid order by j.lane limit 1)
	  union all
	  select n.lane from lanes l cross join lateral (
	    select j.lane from jobs j
	    where j.queue = $1 and j.state = 'pending' and j.lane > l.lane and j.lane <= $3::uuid order by j.lane limit 1) n)
	select l.lane, c.max_running from (select lane from lanes limit $4) l cross join lateral (
	  with recursive caps as (
	    (select j.max_running from jobs j
	     where j.queue = $1 and j.state = 'pending' and j.lane = l.lane order by j.max_running limit 1)
	    union all
	    select n.max_running from caps c cross join lateral (
	      select j.max_running from jobs j
	      where j.queue = $1 and j.state = 'pending' and j.lane = l.lane and j.max_running > c.max_running
	      order by j.max_running limit 1) n)
	  select max_running from caps) c
	order by l.lane, c.max_running`

// takeFromLanes marks up to $4 jobs of each lane dispatched, the oldest first; of jobs with a cap only so many that
// with those of their lane under way there are no more. It answers each with the place of its lane and its own in it.
const takeFromLanes = `with chosen as (
	  select g.n, c.tenant_id, c.id, row_number() over (partition by g.n order by c.run_at, c.id) as place
	  from unnest($2::uuid[], $3::int[]) with ordinality as g (lane, cap, n)
	  cross join lateral (
	    select j.tenant_id, j.id, j.run_at from jobs j
	    where j.queue = $1 and j.state = 'pending' and j.lane = g.lane and j.max_running = g.cap::smallint
	    order by j.run_at, j.id
	    limit case when g.cap = 0 then $4::bigint else greatest(0, least($4::bigint, g.cap - (
	      select count(*) from jobs u where u.queue = $1 and u.lane = g.lane
	        and u.state in ('dispatched', 'running') and u.max_running > 0))) end
	    for update skip locked) c)
	update jobs j set state = 'dispatched', lease_until = now()
	from chosen c where j.tenant_id = c.tenant_id and j.id = c.id
	returning c.n, c.place, j.tenant_id, j.id`

// Pick chooses pending jobs of a queue and has them handed over before it commits: a worker may ask for one before.
func (e *JobEngine) Pick(
	ctx context.Context, queue string, limit int, cursor tenancy.ID, deliver func([]jobs.Ref) error,
) (jobs.Picked, error) {
	picked := jobs.Picked{Cursor: cursor}
	if limit <= 0 {
		return picked, nil
	}
	// It is not run again where it loses against another transaction: what was delivered cannot be taken back.
	err := e.db.attempt(ctx, hastySession(), nil, new(bool), func(ctx context.Context) error {
		tx := e.hasty(ctx)
		opened, _, err := one(tx, readOpenedPick, openPick, LockKey("jobs.pick", []byte(queue)...), queue)
		if err != nil || !opened.held || opened.paused {
			picked.Busy = err == nil && !opened.held
			return err
		}
		p := pick{tx: tx, queue: queue, wanted: limit, start: cursor, at: cursor, served: cursor}
		if err := p.run(); err != nil || len(p.taken) == 0 {
			return err
		}
		picked.Jobs, picked.Cursor = len(p.taken), p.served
		return deliver(p.refs())
	})
	if err != nil {
		return jobs.Picked{Cursor: cursor}, translate(err)
	}
	return picked, nil
}

type openedPick struct{ held, paused bool }

func readOpenedPick(row scanner) (o openedPick, err error) {
	var setting string
	return o, row.Scan(&o.held, &o.paused, &setting)
}

// pick is a pick under way.
type pick struct {
	tx     *gorm.DB
	queue  string
	wanted int
	// start is the lane that was served last time, with which this round of the lanes ends; at is where it has come to.
	start, at      tenancy.ID
	wrapped, ended bool

	rounds int
	taken  []takenJob
	// served is the last lane that something was taken from.
	served tenancy.ID
}

// lane is a lane that has pending jobs, with the caps of those; 0 is for those without.
type lane struct {
	id   tenancy.ID
	caps []int
}

// takenJob is a job that was taken, and when: jobs go round by round, of each round the lanes' first ones, then the
// second ones.
type takenJob struct {
	jobs.Ref

	round, place, lane int
}

// run takes from lane after lane until it has what is wanted: an equal share of each, and what some do not have from
// those that have more.
func (p *pick) run() error {
	for p.missing() > 0 {
		lanes, err := p.more()
		if err != nil || len(lanes) == 0 {
			return err
		}
		for len(lanes) > 0 && p.missing() > 0 {
			if lanes, err = p.take(lanes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pick) missing() int { return p.wanted - len(p.taken) }

// more are the next lanes of the round, as many as jobs are missing at most.
func (p *pick) more() ([]lane, error) {
	var lanes []lane
	for !p.ended && len(lanes) < p.missing() {
		last := p.start
		if !p.wrapped {
			last = lastID()
		}
		need := p.missing() - len(lanes)
		found, err := p.lanes(last, need)
		if err != nil {
			return nil, err
		}
		lanes = append(lanes, found...)
		switch {
		case len(found) == need:
			p.at = found[need-1].id
		case p.wrapped || p.start.IsZero():
			p.ended = true
		default:
			p.wrapped, p.at = true, tenancy.ID{}
		}
	}
	return lanes, nil
}

// lanes are up to limit lanes after the one that the pick has come to.
func (p *pick) lanes(last tenancy.ID, limit int) (lanes []lane, err error) {
	type found struct {
		id  tenancy.ID
		cap int
	}
	rows, err := all(p.tx, func(row scanner) (f found, err error) { return f, row.Scan(&f.id, &f.cap) },
		nextLanes, p.queue, p.at, last, limit)
	for _, f := range rows {
		if n := len(lanes); n > 0 && lanes[n-1].id == f.id {
			lanes[n-1].caps = append(lanes[n-1].caps, f.cap)
			continue
		}
		lanes = append(lanes, lane{id: f.id, caps: []int{f.cap}})
	}
	for _, l := range lanes {
		// None of a lane's kinds is always the first one.
		rand.Shuffle(len(l.caps), func(i, j int) { l.caps[i], l.caps[j] = l.caps[j], l.caps[i] })
	}
	return lanes, err
}

// take takes an equal share from each lane, of the jobs of one cap, and answers the lanes that may have more.
func (p *pick) take(lanes []lane) ([]lane, error) {
	// Where there are more lanes than jobs are missing the first lanes get one more each, and the next pick begins
	// behind them.
	now := lanes[:min(len(lanes), p.missing())]
	share := p.missing() / len(now)
	ids, caps := make([]tenancy.ID, len(now)), make([]int, len(now))
	for i, l := range now {
		ids[i], caps[i] = l.id, l.caps[0]
	}
	got, err := all(p.tx, func(row scanner) (t takenJob, err error) {
		return t, row.Scan(&t.lane, &t.place, &t.Tenant, &t.ID)
	}, takeFromLanes, p.queue, ids, caps, share)
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(now))
	for i := range got {
		got[i].round = p.rounds
		counts[got[i].lane-1]++
	}
	p.rounds++
	p.taken = append(p.taken, got...)
	var left []lane
	for i, l := range now {
		if counts[i] > 0 {
			p.served = l.id
		}
		if counts[i] < share {
			l.caps = l.caps[1:] // no more of this cap that can be had
		}
		if len(l.caps) > 0 {
			left = append(left, l)
		}
	}
	return append(left, lanes[len(now):]...), nil
}

// refs are the jobs in the order in which they are to be run.
func (p *pick) refs() []jobs.Ref {
	slices.SortFunc(p.taken, func(a, b takenJob) int {
		return cmp.Or(cmp.Compare(a.round, b.round), cmp.Compare(a.place, b.place), cmp.Compare(a.lane, b.lane))
	})
	refs := make([]jobs.Ref, len(p.taken))
	for i, t := range p.taken {
		refs[i] = t.Ref
	}
	return refs
}

// lastID is the last id of all.
func lastID() (id tenancy.ID) {
	for i := range id {
		id[i] = 0xff
	}
	return id
}
