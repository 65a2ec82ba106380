package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	redigo "github.com/gomodule/redigo/redis"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

// epochKey holds the epoch: its name, when it began, and the server's run id at that time.
const epochKey = "{jobs}:epoch"

// Epoch names the contents of Redis. A new one begins where the key is gone (FLUSHALL, a restart without data), and
// where another server answers than the one that it began on: one that was started again, perhaps with data of some
// time ago, or a replica that took over. All who ask agree on it. A stand-in that tells no run id has the key alone.
func (j *Jobs) Epoch(ctx context.Context, now time.Time) (jobs.Epoch, error) {
	conn, timeout, err := j.client.borrow(ctx)
	if err != nil {
		return jobs.Epoch{}, err
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool; what was wrong with it was said by the command

	// All of it on one connection: the answers are one server's.
	kept, err := redigo.String(redigo.DoWithTimeout(conn, timeout, "GET", epochKey))
	if err != nil && !errors.Is(err, redigo.ErrNil) {
		return jobs.Epoch{}, fmt.Errorf("read the epoch of Redis: %w", err)
	}
	info, err := redigo.String(redigo.DoWithTimeout(conn, timeout, "INFO", "server"))
	var said redigo.Error
	if err != nil && !errors.As(err, &said) {
		return jobs.Epoch{}, fmt.Errorf("read the run id of Redis: %w", err)
	}
	server := runID(info)
	if epoch, of, ok := parseEpoch(kept); ok && of == server {
		return epoch, nil
	}
	next := strings.Join([]string{rand.Text(), strconv.FormatInt(now.UnixMicro(), 10), server}, " ")
	won, err := redigo.String(epochScript.run(conn, timeout, epochKey, kept, next))
	if err != nil {
		return jobs.Epoch{}, fmt.Errorf("begin an epoch of Redis: %w", err)
	}
	epoch, _, ok := parseEpoch(won)
	if !ok {
		return jobs.Epoch{}, errors.New("begin an epoch of Redis: what another process wrote cannot be read")
	}
	return epoch, nil
}

// epochScript replaces the epoch that was read, unless somebody else did, and answers the one that stands.
//
//nolint:gochecknoglobals // a constant that Go has no form for
var epochScript = script{1, `
local kept = redis.call('get', KEYS[1])
if kept and kept ~= ARGV[1] then return kept end
redis.call('set', KEYS[1], ARGV[2])
return ARGV[2]`}

func parseEpoch(kept string) (epoch jobs.Epoch, server string, ok bool) {
	parts := strings.Split(kept, " ")
	if len(parts) != 3 {
		return jobs.Epoch{}, "", false
	}
	micros, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return jobs.Epoch{}, "", false
	}
	return jobs.Epoch{Name: parts[0], Since: time.UnixMicro(micros).UTC()}, parts[2], true
}

// runID finds a server's run id in what it says about itself; "" where it says none.
func runID(info string) string {
	for line := range strings.Lines(info) {
		if id, found := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); found {
			return id
		}
	}
	return ""
}
