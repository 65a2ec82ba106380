package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// verdict is what came of it.
type verdict struct {
	tally

	// jobs are those that were due; lost are those that have not run, doubled those that ran once too often.
	jobs, lost, doubled int
}

// String is the line that scripts read.
func (v verdict) String() string {
	return fmt.Sprintf("requests=%d failed=%d jobs=%d lost=%d doubled=%d", v.requests, v.failed, v.jobs, v.lost, v.doubled)
}

func (v verdict) isWell() bool {
	return v.requests > 0 && v.jobs > 0 && v.failed == 0 && v.lost == 0 && v.doubled == 0
}

// count waits until all jobs have ended, for so long, and counts. A job is a webhook to be delivered, which is seen where
// it arrives, or one to be processed, which the API tells.
func (l *load) count(ctx context.Context, patience time.Duration) (verdict, error) {
	say("the load is off; waiting for the jobs")
	v := verdict{tally: l.tally(), jobs: len(l.due) + l.hooks}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		missing, again := l.received.compare(l.due)
		seen, err := l.listJobs(ctx)
		if err != nil {
			return v, err
		}
		v.lost = missing + max(0, l.hooks-seen.processed) + seen.dead
		v.doubled = again + seen.repeated
		if v.lost == 0 && seen.open == 0 || client.Pause(ctx, time.Second) != nil {
			return v, nil
		}
	}
}

// jobsSeen are the organization's jobs as the API lists them.
type jobsSeen struct {
	// processed are those of webhooks that came in and that have succeeded, open those that have not ended.
	processed, open, dead int
	// repeated are attempts that failed or were lost: no job of these fails by itself.
	repeated int
}

func (l *load) listJobs(ctx context.Context) (seen jobsSeen, err error) {
	cursor := ""
	for {
		var page struct {
			Data []struct {
				ID      string `json:"id"`
				Kind    string `json:"kind"`
				State   string `json:"state"`
				Attempt int    `json:"attempt"`
			} `json:"data"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := l.api(ctx, http.MethodGet, "/jobs?limit=100"+cursor, nil, &page, http.StatusOK); err != nil {
			return seen, err
		}
		for _, job := range page.Data {
			switch job.State {
			case "succeeded":
				if job.Kind == "inbound.process" {
					seen.processed++
				}
			case "dead", "cancelled":
				seen.dead++
			default:
				seen.open++
			}
			if job.Attempt > 1 {
				failed, err := l.failures(ctx, job.ID)
				if err != nil {
					return seen, err
				}
				seen.repeated += failed
			}
		}
		if page.NextCursor == nil {
			return seen, nil
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// failures is how many attempts of a job failed. A claim that a worker gave back when it was told to stop has a number too,
// and never ran.
func (l *load) failures(ctx context.Context, id string) (int, error) {
	var job struct {
		Failures []json.RawMessage `json:"failures"`
	}
	err := l.api(ctx, http.MethodGet, "/jobs/"+id, nil, &job, http.StatusOK)
	return len(job.Failures), err
}
