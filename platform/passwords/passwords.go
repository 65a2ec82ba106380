// Package passwords hashes and verifies passwords with argon2id, and judges those that somebody wants.
//
// Sign-up, login and password changes call it, outside of transactions: a hash takes tens of milliseconds and 19 MiB on
// purpose, so that only as many run at a time as there are cores, and the others wait. A password's bytes are taken as
// they come, without any change. It stores nothing, and no password is in any of its errors.
package passwords

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"runtime"

	"golang.org/x/crypto/argon2"
)

// Config is what a hash costs. What is 0 takes its default, which is OWASP's first choice for argon2id; tests choose
// less.
type Config struct {
	// Time is the number of passes over the memory; the default is 2.
	Time uint32
	// MemoryKiB is the memory that a hash takes, in KiB; the default is 19 MiB.
	MemoryKiB uint32
	// Threads is how many cores one hash uses; the default is 1.
	Threads uint8
	// Concurrency is how many hashes run at a time; the default is the number of cores.
	Concurrency int
}

const (
	saltSize = 16 // bytes
	hashSize = 32 // bytes
)

// Hasher hashes and verifies; it may be used by many goroutines.
type Hasher struct {
	params params
	slots  chan struct{}
}

// New returns a hasher.
func New(cfg Config) *Hasher {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = runtime.GOMAXPROCS(0)
	}
	p := params{time: cfg.Time, memory: cfg.MemoryKiB, threads: cfg.Threads}
	if p.time == 0 {
		p.time = 2
	}
	if p.memory == 0 {
		p.memory = 19 << 10
	}
	if p.threads == 0 {
		p.threads = 1
	}
	return &Hasher{params: p, slots: make(chan struct{}, cfg.Concurrency)}
}

// Hash returns the password's hash as a PHC string, "$argon2id$v=19$m=19456,t=2,p=1$…$…". Its error is ctx's, where
// that ends before a core is free.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	stored := phc{params: h.params, salt: make([]byte, saltSize)}
	_, _ = rand.Read(stored.salt) // it never fails: it would end the program
	var err error
	if stored.hash, err = h.derive(ctx, password, stored.params, stored.salt, hashSize); err != nil {
		return "", err
	}
	return stored.String(), nil
}

// Verify says whether the password is the hash's, and if so whether the hash was made with other parameters than the
// present ones and should be replaced. It is an error where the hash is no PHC string of argon2id, and where ctx ends
// before a core is free.
func (h *Hasher) Verify(ctx context.Context, password, hash string) (ok, outdated bool, err error) {
	stored, err := parse(hash)
	if err != nil {
		return false, false, err
	}
	derived, err := h.derive(ctx, password, stored.params, stored.salt, len(stored.hash))
	if err != nil || subtle.ConstantTimeCompare(derived, stored.hash) == 0 {
		return false, false, err
	}
	return true, stored.params != h.params || len(stored.salt) != saltSize || len(stored.hash) != hashSize, nil
}

// VerifyNothing does the work of Verify where there is no hash to verify, for a user who does not exist or has no
// password, so that the time of an answer does not tell which users there are.
func (h *Hasher) VerifyNothing(ctx context.Context, password string) error {
	_, err := h.derive(ctx, password, h.params, make([]byte, saltSize), hashSize)
	return err
}

// derive waits for a core and does the work.
func (h *Hasher) derive(ctx context.Context, password string, p params, salt []byte, size int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("hash a password: %w", err)
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(password), salt, p.time, p.memory, p.threads, uint32(size)), nil //nolint:gosec // parse bounds it
}
