package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	redigo "github.com/gomodule/redigo/redis"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// JobName is what all jobs are called in Redis: of their kind only PostgreSQL knows, so that workers that know
// different kinds can share a list.
const JobName = "run"

// Namespace is where gocraft/work keeps what belongs to a queue. All of it is in one hash slot.
func Namespace(queue string) string { return "{jobs:" + queue + "}" }

// Jobs hands jobs over to workers, in the lists and the form of gocraft/work: it implements jobs.Buffer. What is in
// Redis may be lost, stay behind or come twice; PostgreSQL decides who runs what.
type Jobs struct {
	client *Client
	now    func() time.Time
}

var _ jobs.Buffer = (*Jobs)(nil)

// NewJobs returns the buffer. The time is only noted in the lists, for people who look at them.
func NewJobs(client *Client, now func() time.Time) *Jobs { return &Jobs{client: client, now: now} }

// job is gocraft/work's own form of a job.
type job struct {
	Name       string `json:"name"`
	ID         string `json:"id"`
	EnqueuedAt int64  `json:"t"`
	Args       args   `json:"args"`
}

// args is a single string: gocraft/work's scripts mangle numbers and empty lists.
type args struct {
	Ref string `json:"ref"`
}

// Waiting returns the jobs in a queue's list that no worker has taken, the next one last.
func (j *Jobs) Waiting(ctx context.Context, queue string) ([]jobs.Ref, error) {
	items, err := redigo.ByteSlices(j.client.Do(ctx, "LRANGE", listOf(queue), 0, -1))
	if err != nil {
		return nil, fmt.Errorf("read the list of %s: %w", queue, err)
	}
	refs := make([]jobs.Ref, 0, len(items))
	for _, item := range items {
		var waiting job
		if json.Unmarshal(item, &waiting) != nil {
			continue // not one of ours: it names no job that could be missed
		}
		if ref, err := jobs.ParseRef(waiting.Args.Ref); err == nil {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// Look is what a queue's list is like.
func (j *Jobs) Look(ctx context.Context, queue string) (jobs.List, error) {
	// The script reads keys that it is not told: they are in the slot of those that it is.
	counts, err := redigo.Int64s(j.client.script(ctx, lookScript, listOf(queue), poolsOf(queue), runningOf(queue), pushedOf(queue)))
	if err != nil {
		return jobs.List{}, fmt.Errorf("look at the list of %s: %w", queue, err)
	}
	if len(counts) != 4 {
		return jobs.List{}, fmt.Errorf("look at the list of %s: %d numbers for an answer", queue, len(counts))
	}
	return jobs.List{Waiting: int(counts[0]), Slots: int(counts[1]), Running: int(counts[2]), Pushed: counts[3]}, nil
}

// Push hands jobs over and rings the queue's doorbell, in one round trip. Workers take the first one first.
func (j *Jobs) Push(ctx context.Context, queue string, refs []jobs.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	now := j.now().Unix()
	list := make([]any, 1, len(refs)+1)
	list[0] = listOf(queue)
	for _, ref := range refs {
		data, err := json.Marshal(job{Name: JobName, ID: ref.ID.String(), EnqueuedAt: now, Args: args{Ref: ref.String()}})
		if err != nil {
			return fmt.Errorf("write a job for the list: %w", err)
		}
		list = append(list, data)
	}
	err := j.client.pipeline(ctx,
		call{"LPUSH", list}, call{"INCRBY", []any{pushedOf(queue), len(refs)}}, call{"PUBLISH", []any{bellOf(queue), ""}})
	if err != nil {
		return fmt.Errorf("hand jobs to the list of %s: %w", queue, err)
	}
	return nil
}

// Pause stops or resumes the taking of a queue's jobs by gocraft/work. What runs goes on.
func (j *Jobs) Pause(ctx context.Context, queue string, paused bool) error { //nolint:revive // jobs.Buffer has it so
	calls := []call{{"SET", []any{pausedOf(queue), "1"}}}
	if !paused {
		calls = []call{{"DEL", []any{pausedOf(queue)}}, {"PUBLISH", []any{bellOf(queue), ""}}}
	}
	if err := j.client.pipeline(ctx, calls...); err != nil {
		return fmt.Errorf("pause or resume the list of %s: %w", queue, err)
	}
	return nil
}

// Sweep removes what dead workers left in a queue's lists, and mends the counters that gocraft/work keeps beside them.
// It answers how many jobs' entries it removed: those whose workers are gone, and those that a live worker forgot when
// a reply was lost. That is safe only because PostgreSQL has each of them run again.
func (j *Jobs) Sweep(ctx context.Context, queue string) (removed int, err error) {
	prefix := listOf(queue)
	removed, err = redigo.Int(j.client.script(ctx, sweepScript, poolsOf(queue), runningOf(queue), prefix+":lock_info", prefix))
	if err != nil {
		return 0, fmt.Errorf("sweep the lists of %s: %w", queue, err)
	}
	return removed, nil
}

func listOf(queue string) string    { return Namespace(queue) + ":jobs:" + JobName }
func pausedOf(queue string) string  { return listOf(queue) + ":paused" }
func runningOf(queue string) string { return listOf(queue) + ":lock" }
func pushedOf(queue string) string  { return listOf(queue) + ":pushed" }
func poolsOf(queue string) string   { return Namespace(queue) + ":worker_pools" }

// lookScript answers how many jobs wait, the slots of the pools that are alive (their heartbeats expire), how many jobs
// run, and how many were pushed.
//
//nolint:gochecknoglobals // a constant that Go has no form for
var lookScript = script{4, `
local slots = 0
for _, pool in ipairs(redis.call('smembers', KEYS[2])) do
  slots = slots + (tonumber(redis.call('hget', KEYS[2] .. ':' .. pool, 'concurrency')) or 0)
end
return {redis.call('llen', KEYS[1]), slots, tonumber(redis.call('get', KEYS[3]) or 0), tonumber(redis.call('get', KEYS[4]) or 0)}`}

// sweepScript removes the pools without a heartbeat, trims the lists of the others to what they can have under way,
// and sets the counters to what the lists say.
//
//nolint:gochecknoglobals // a constant that Go has no form for
var sweepScript = script{3, `
local removed, running, pools = 0, 0, {}
for _, pool in ipairs(redis.call('smembers', KEYS[1])) do pools[pool] = true end
for _, pool in ipairs(redis.call('hkeys', KEYS[3])) do pools[pool] = true end
for pool, _ in pairs(pools) do
  local list = ARGV[1] .. ':' .. pool .. ':inprogress'
  local slots = tonumber(redis.call('hget', KEYS[1] .. ':' .. pool, 'concurrency'))
  local length = redis.call('llen', list)
  if slots then
    if length > slots then
      redis.call('ltrim', list, 0, slots - 1)
      removed = removed + length - slots
      length = slots
    end
    redis.call('hset', KEYS[3], pool, length)
    running = running + length
  else
    redis.call('del', list)
    redis.call('srem', KEYS[1], pool)
    redis.call('hdel', KEYS[3], pool)
    removed = removed + length
  end
end
if running > 0 then redis.call('set', KEYS[2], running) else redis.call('del', KEYS[2]) end
return removed`}
