package limits

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"time"
)

const (
	shardCount     = 64 // as many as a word has bits: a set of shards is a word
	sampled        = 8  // the buckets that are looked at when one is added
	longestKey     = 64 // bytes; a longer key is kept as its hash
	defaultMaxKeys = 100_000
)

// LocalConfig is what NewLocal needs.
type LocalConfig struct {
	// Clock tells the time. It must be set.
	Clock func() time.Time
	// MaxKeys is about how many keys are remembered, by default 100,000, which takes some 15 MB. Where there are more,
	// those are forgotten whose use would have come back first.
	MaxKeys int
}

// Local is a Limiter inside one process. It is exact, safe for use by many goroutines, and bounded in memory.
type Local struct {
	clock  func() time.Time
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	mu      sync.Mutex
	max     int
	buckets map[bucketKey]localBucket
}

type bucketKey struct{ name, key string }

type localBucket struct {
	bucket
	emptyAt int64 // when the bucket has leaked all, in microseconds since 1970; after that it says nothing
}

// NewLocal returns an empty limiter.
func NewLocal(config LocalConfig) (*Local, error) {
	if config.Clock == nil {
		return nil, errors.New("a limiter needs a clock")
	}
	if config.MaxKeys <= 0 {
		config.MaxKeys = defaultMaxKeys
	}
	l := &Local{clock: config.Clock, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].max = max(1, config.MaxKeys/shardCount)
		l.shards[i].buckets = make(map[bucketKey]localBucket)
	}
	return l, nil
}

// Take spends every take or none. Its only errors are ErrTake and the context's.
func (l *Local) Take(ctx context.Context, takes ...Take) ([]Verdict, error) {
	return l.decide(ctx, takes, spend)
}

// Peek answers as Take would and spends nothing.
func (l *Local) Peek(ctx context.Context, takes ...Take) ([]Verdict, error) {
	return l.decide(ctx, takes, look)
}

// Reset forgets what was spent on the takes' names and keys.
func (l *Local) Reset(ctx context.Context, takes ...Take) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, t := range takes {
		key := keyOf(t)
		s := &l.shards[l.shardOf(key)]
		s.mu.Lock()
		delete(s.buckets, key)
		s.mu.Unlock()
	}
	return nil
}

// Keys returns how many keys are remembered.
func (l *Local) Keys() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.buckets)
		s.mu.Unlock()
	}
	return n
}

// mode is what to do with what is found.
type mode int

const (
	spend mode = iota
	look
)

// found is a take with its place and what it found there.
type found struct {
	key   bucketKey
	shard int
	level float64
	fits  bool
	// ahead says that the bucket's time lies ahead of the clock, which then went back. Such a bucket is stored again
	// whatever the verdict: it would leak nothing until the clock is there again.
	ahead bool
}

func (l *Local) decide(ctx context.Context, takes []Take, m mode) ([]Verdict, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := Check(takes); err != nil {
		return nil, err
	}
	var few [4]found // room for the usual number, without an allocation
	places := append(few[:0], make([]found, len(takes))...)
	var touched uint64
	for i, t := range takes {
		if !t.Rate.IsOff() {
			places[i].key = keyOf(t)
			places[i].shard = l.shardOf(places[i].key)
			touched |= 1 << places[i].shard
		}
	}

	l.lock(touched)
	defer l.unlock(touched)

	now := l.clock().UnixMicro() // under the locks, so that no bucket sees the calls' times out of order
	all := true
	for i, t := range takes {
		if !t.Rate.IsOff() {
			l.find(takes, places, i, now)
			all = all && places[i].fits
		}
	}
	verdicts := make([]Verdict, len(takes))
	for i, t := range takes {
		p := places[i]
		if t.Rate.IsOff() {
			verdicts[i] = Verdict{Name: t.Name, Allowed: true}
			continue
		}
		if m == spend && all {
			p.level += float64(t.Units())
		}
		if m == spend && (all || p.ahead) {
			b := bucket{level: p.level, at: now}
			l.shards[p.shard].keep(p.key, localBucket{bucket: b, emptyAt: now + drain(p.level, t.Rate)}, now)
		}
		if p.fits {
			verdicts[i] = verdictOn(t, p.level)
		} else {
			verdicts[i] = refusalOn(t, p.level)
		}
	}
	return verdicts, nil
}

// find fills in what take i finds: what is kept, and what takes before it in the same call add to that.
func (l *Local) find(takes []Take, places []found, i int, now int64) {
	p, rate := &places[i], takes[i].Rate
	kept := l.shards[p.shard].buckets[p.key]
	p.level, p.ahead = kept.levelAt(now, rate), kept.at > now
	for j := i - 1; j >= 0; j-- {
		if places[j].key == p.key && !takes[j].Rate.IsOff() {
			p.level, p.ahead = places[j].level+float64(takes[j].Units()), false
			break
		}
	}
	p.fits = fits(p.level, takes[i].Units(), rate)
}

func (s *shard) keep(key bucketKey, b localBucket, now int64) {
	if _, known := s.buckets[key]; !known {
		s.makeRoom(now)
		key.key = strings.Clone(key.key) // which may be a piece of something large
	}
	s.buckets[key] = b
}

// makeRoom forgets the buckets that say nothing any more among a few taken by chance, and, where the shard is full and
// none of them was, the one that would be the first to. Done at each addition, it keeps the share of the empty small.
func (s *shard) makeRoom(now int64) {
	var first bucketKey
	var firstEmpty int64
	looked := 0
	for key, b := range s.buckets {
		if looked++; looked > sampled {
			break
		}
		if b.emptyAt <= now {
			delete(s.buckets, key)
		} else if firstEmpty == 0 || b.emptyAt < firstEmpty {
			first, firstEmpty = key, b.emptyAt
		}
	}
	if len(s.buckets) >= s.max {
		delete(s.buckets, first)
	}
}

// lock takes the shards' locks in one order, so that two calls never wait for each other.
func (l *Local) lock(shards uint64) {
	for ; shards != 0; shards &= shards - 1 {
		l.shards[bits.TrailingZeros64(shards)].mu.Lock()
	}
}

func (l *Local) unlock(shards uint64) {
	for ; shards != 0; shards &= shards - 1 {
		l.shards[bits.TrailingZeros64(shards)].mu.Unlock()
	}
}

func (l *Local) shardOf(key bucketKey) int {
	return int(maphash.Comparable(l.seed, key) % shardCount) //nolint:gosec // it is below 64
}

func keyOf(t Take) bucketKey {
	if len(t.Key) > longestKey {
		sum := sha256.Sum256([]byte(t.Key))
		return bucketKey{name: t.Name, key: string(sum[:])}
	}
	return bucketKey{name: t.Name, key: t.Key}
}
