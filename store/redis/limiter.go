package redis

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the script
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/groundwork-saas/groundwork/domain/limits"
)

//go:embed gcra.lua
var gcraSource string

// limitPrefix begins the keys of limits.
const limitPrefix = "gw:limit:"

// Engine is a limiter that can also be asked without spending, and be reset: Limiter, Failover and limits.Local.
type Engine interface {
	limits.Limiter
	// Peek answers as Take would and spends nothing.
	Peek(ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error)
	// Reset forgets what was spent on the takes' names and keys.
	Reset(ctx context.Context, takes ...limits.Take) error
}

// LimiterConfig is what NewLimiter needs.
type LimiterConfig struct {
	// Client is where the limits are kept. It must be set.
	Client *Client
	// Clock tells the time in place of the server's own clock, which is used where it is nil. Replicas whose clocks
	// differ do not agree on limits, so it is of use to tests only.
	Clock func() time.Time
}

// Limiter is a limits.Limiter that all processes on one Redis share. Each call is one round trip. It fails while Redis
// is away; Failover does not.
type Limiter struct {
	client *Client
	clock  func() time.Time
	hash   string
}

// NewLimiter returns a limiter; it connects to nothing.
func NewLimiter(config LimiterConfig) *Limiter {
	return &Limiter{client: config.Client, clock: config.Clock, hash: redigo.NewScript(-1, gcraSource).Hash()}
}

// Take spends every take or none, in one round trip.
func (l *Limiter) Take(ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error) {
	return l.decide(ctx, takes, false)
}

// Peek answers as Take would and spends nothing.
func (l *Limiter) Peek(ctx context.Context, takes ...limits.Take) ([]limits.Verdict, error) {
	return l.decide(ctx, takes, true)
}

// Reset forgets what was spent on the takes' names and keys.
func (l *Limiter) Reset(ctx context.Context, takes ...limits.Take) error {
	if len(takes) == 0 {
		return nil
	}
	keys := make([]any, len(takes))
	for i, t := range takes {
		keys[i] = limitKey(t)
	}
	if _, err := l.client.Do(ctx, "DEL", keys...); err != nil {
		return fmt.Errorf("reset limits: %w", err)
	}
	return nil
}

func (l *Limiter) decide(ctx context.Context, takes []limits.Take, dry bool) ([]limits.Verdict, error) {
	if err := limits.Check(takes); err != nil {
		return nil, err
	}
	verdicts := make([]limits.Verdict, len(takes))
	asked := make([]int, 0, len(takes))
	for i, t := range takes {
		verdicts[i] = limits.Verdict{Name: t.Name, Limit: t.Rate.Limit, Per: t.Rate.Per, Allowed: true}
		if !t.Rate.IsOff() {
			asked = append(asked, i)
		}
	}
	if len(asked) == 0 {
		return verdicts, nil
	}
	args := make([]any, 0, 4+4*len(asked))
	args = append(args, l.hash, len(asked))
	for _, i := range asked {
		args = append(args, limitKey(takes[i]))
	}
	args = append(args, l.now(), dry)
	for _, i := range asked {
		args = append(args, takes[i].Rate.Limit, takes[i].Rate.Per.Microseconds(), takes[i].Units())
	}
	answer, err := l.run(ctx, args)
	if err != nil {
		return nil, fmt.Errorf("ask redis for limits: %w", err)
	}
	if len(answer) != 4*len(asked) {
		return nil, fmt.Errorf("ask redis for limits: %d numbers came back for %d limits", len(answer), len(asked))
	}
	for n, i := range asked {
		v, said := &verdicts[i], answer[4*n:]
		v.Allowed = said[0] == 1
		v.Remaining = said[1]
		v.ResetAfter = time.Duration(said[2]) * time.Microsecond
		v.RetryAfter = time.Duration(said[3]) * time.Microsecond
	}
	return verdicts, nil
}

// run runs the script by its hash, and by its text where the server does not know it yet or any more.
func (l *Limiter) run(ctx context.Context, args []any) ([]int64, error) {
	c, timeout, err := l.client.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // it goes back to the pool
	answer, err := redigo.Int64s(redigo.DoWithTimeout(c, timeout, "EVALSHA", args...))
	if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
		args[0] = gcraSource
		answer, err = redigo.Int64s(redigo.DoWithTimeout(c, timeout, "EVAL", args...))
	}
	return answer, err
}

// now returns the time for the script: 0 where the server's own clock is to be used.
func (l *Limiter) now() int64 {
	if l.clock == nil {
		return 0
	}
	return l.clock().UnixMicro()
}

// limitKey returns where a take is kept. A UUID stays readable; all else, an address or what somebody typed, is hashed:
// it is nobody's business who looks at Redis, and may be of any length.
func limitKey(t limits.Take) string {
	key := t.Key
	if len(key) != 36 || uuid.Validate(key) != nil {
		sum := sha256.Sum256([]byte(key))
		key = hex.EncodeToString(sum[:16])
	}
	return limitPrefix + t.Name + ":" + key
}
