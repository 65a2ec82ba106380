package runner

import (
	"context"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// How long a job that another transaction holds is asked for again: after 1, 2, 4 and so on milliseconds.
const (
	firstLockedWait = time.Millisecond
	lockedPatience  = 2 * time.Second
)

// claim is what became of one claim.
type claim struct {
	job    jobs.Job
	taken  bool
	locked bool
	// until is when the lease runs out, by our clock and no later than by the database's.
	until time.Time
}

// claimAll claims jobs in one round trip.
func (r *Runner) claimAll(ctx context.Context, refs []jobs.Ref) ([]claim, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Lease/2)
	defer cancel()
	found := make(map[jobs.Ref]claim, len(refs))
	var unique []jobs.Ref // a job may have been handed over twice
	for _, ref := range refs {
		if _, twice := found[ref]; !twice {
			found[ref] = claim{}
			unique = append(unique, ref)
		}
	}
	until := r.config.Now().Add(r.config.Lease)
	claimed, locked, err := r.config.Desk.Claim(ctx, r.config.Name, unique, r.config.Lease)
	if err != nil {
		return nil, err
	}
	for _, job := range claimed {
		found[jobs.Ref{Tenant: job.Tenant, ID: job.ID}] = claim{job: job, taken: true, until: until}
	}
	for _, ref := range locked {
		found[ref] = claim{locked: true}
	}
	claims := make([]claim, len(refs))
	for i, ref := range refs {
		claims[i] = found[ref]
		if claims[i].taken {
			found[ref] = claim{} // the first who asked has it
		}
	}
	return claims, nil
}

// claim claims one job, waiting a moment for whoever holds its row: mostly the dispatcher that has just handed it over
// and not committed yet.
func (r *Runner) claim(queue string, ref jobs.Ref) (claim, bool) {
	wait, waited := firstLockedWait, time.Duration(0)
	for {
		got, err := r.claims.ask(ref)
		switch {
		case err != nil:
			r.config.Log.WithError(err).WithFields(refFields(queue, ref)).Warn("a job could not be claimed; it will be handed over again")
			r.measures.claim(queue, "failed")
			return claim{}, false
		case got.taken:
			r.measures.claim(queue, "taken")
			return got, true
		case !got.locked:
			r.measures.claim(queue, "gone")
			return claim{}, false
		case waited >= lockedPatience:
			r.measures.claim(queue, "locked")
			return claim{}, false
		}
		time.Sleep(wait)
		waited += wait
		wait *= 2
	}
}
