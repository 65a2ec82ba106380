// Package blobstest holds every way of keeping contents to one contract, that of files.Contents.
//
// Tests of each implementation call Run. It is never linked into a process of the product.
package blobstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Run holds contents to the contract. They may hold other things beside, but nothing may be removed from them meanwhile.
func Run(t *testing.T, contents files.Contents) {
	t.Helper()
	s := suite{contents: contents, tenant: tenancy.NewID()}
	t.Run("keeps_what_it_is_given", s.keeps)
	t.Run("reads_parts", s.readsParts)
	t.Run("keeps_nothing_of_what_breaks_off", s.breaksOff)
	t.Run("keeps_nothing_of_what_is_cancelled", s.cancelled)
	t.Run("has_nothing_under_other_keys", s.missing)
	t.Run("refuses_keys_that_lead_elsewhere", s.hostileKeys)
	t.Run("deletes", s.deletes)
	t.Run("lists", s.lists)
	t.Run("serves_many_at_once", s.concurrent)
}

type suite struct {
	contents files.Contents
	tenant   tenancy.ID
}

func (s suite) key() string { return files.Key(s.tenant, tenancy.NewID()) }

// noise is bytes that look like nothing, the same for a size.
func noise(size int64) io.Reader {
	seed := sha256.Sum256(fmt.Append(nil, size))
	return io.LimitReader(rand.NewChaCha8(seed), size)
}

func (s suite) read(tb testing.TB, key string, offset, length int64) []byte {
	tb.Helper()
	r, err := s.contents.Open(tb.Context(), key, offset, length)
	require.NoError(tb, err)
	data, err := io.ReadAll(r)
	require.NoError(tb, err)
	require.NoError(tb, r.Close())
	return data
}

func (s suite) requireNothing(tb testing.TB, key string) {
	tb.Helper()
	_, err := s.contents.Open(tb.Context(), key, 0, -1)
	require.ErrorIs(tb, err, files.ErrNoContents)
	assert.NotContains(tb, s.list(tb), key)
	for _, c := range s.all(tb) {
		assert.NotEmpty(tb, c.Key, "the remains of a Put are still there")
	}
}

func (s suite) all(tb testing.TB) []files.Content {
	tb.Helper()
	var all []files.Content
	require.NoError(tb, s.contents.List(tb.Context(), func(c files.Content) error {
		all = append(all, c)
		return nil
	}))
	return all
}

func (s suite) list(tb testing.TB) map[string]files.Content {
	tb.Helper()
	byKey := map[string]files.Content{}
	for _, c := range s.all(tb) {
		byKey[c.Key] = c
	}
	return byKey
}

func (s suite) keeps(t *testing.T) {
	for _, size := range []int64{0, 1, 4095, 1<<20 - 1, 1 << 20, 1<<20 + 1, 8 << 20, 8<<20 + 1, 21<<20 + 7} {
		key := s.key()
		require.NoError(t, s.contents.Put(t.Context(), key, noise(size)), "%d bytes", size)
		want, err := io.ReadAll(noise(size))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, s.read(t, key, 0, -1)), "%d bytes came back as others", size)
	}
}

func (s suite) readsParts(t *testing.T) {
	const size = 9 << 20
	key := s.key()
	require.NoError(t, s.contents.Put(t.Context(), key, noise(size)))
	want, err := io.ReadAll(noise(size))
	require.NoError(t, err)
	for _, part := range [][2]int64{{0, 1}, {0, size}, {1, 1}, {size - 1, 1}, {8<<20 - 1, 2}, {12345, 67890}, {7, -1}, {size, -1}, {5, 0}} {
		end := part[0] + part[1]
		if part[1] < 0 {
			end = size
		}
		require.True(t, bytes.Equal(want[part[0]:end], s.read(t, key, part[0], part[1])), "the part %v", part)
	}
	r, err := s.contents.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, r.Close(), "a reader may be left")
}

var errBroken = errors.New("the sender left")

// breaking is noise that ends with an error.
func breaking(size int64, err error) io.Reader {
	return io.MultiReader(noise(size), failing{err})
}

type failing struct{ err error }

// Read fails.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (s suite) breaksOff(t *testing.T) {
	// io.ErrUnexpectedEOF is what a request that was cut off reads as, and what libraries take for an end.
	for _, err := range []error{errBroken, io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		for _, size := range []int64{0, 10, 1<<20 + 10, 8 << 20, 17 << 20} {
			key := s.key()
			require.ErrorIs(t, s.contents.Put(t.Context(), key, breaking(size, err)), err, "%v after %d bytes", err, size)
			s.requireNothing(t, key)
		}
	}
}

func (s suite) cancelled(t *testing.T) {
	for _, size := range []int64{10, 9 << 20} {
		ctx, cancel := context.WithCancel(t.Context())
		key := s.key()
		r := io.MultiReader(noise(size), onRead(cancel), noise(9<<20))
		require.Error(t, s.contents.Put(ctx, key, r))
		s.requireNothing(t, key)
		cancel()
	}
}

// onRead does something when it is read, and is empty.
type onRead func()

// Read does it.
func (f onRead) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

func (s suite) missing(t *testing.T) {
	for _, length := range []int64{-1, 0, 1} {
		_, err := s.contents.Open(t.Context(), s.key(), 0, length)
		require.ErrorIs(t, err, files.ErrNoContents)
	}
}

func (s suite) hostileKeys(t *testing.T) {
	for _, key := range []string{
		"", "/", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", `a\b`, "a/./b", "a\x00b", "A", ".drafts/x", "a/.b", "a b", "ä",
	} {
		require.Error(t, s.contents.Put(t.Context(), key, noise(1)), "%q", key)
		_, err := s.contents.Open(t.Context(), key, 0, -1)
		require.Error(t, err, "%q", key)
		require.Error(t, s.contents.Delete(t.Context(), key), "%q", key)
	}
}

func (s suite) deletes(t *testing.T) {
	key := s.key()
	require.NoError(t, s.contents.Delete(t.Context(), key), "what is not there may be deleted")
	require.NoError(t, s.contents.Put(t.Context(), key, noise(5)))
	require.NoError(t, s.contents.Delete(t.Context(), key))
	s.requireNothing(t, key)
	require.NoError(t, s.contents.Put(t.Context(), key, noise(6)), "and put again")
	require.Len(t, s.read(t, key, 0, -1), 6)
}

func (s suite) lists(t *testing.T) {
	key := s.key()
	require.NoError(t, s.contents.Put(t.Context(), key, noise(77)))
	listed, ok := s.list(t)[key]
	require.True(t, ok)
	assert.Equal(t, int64(77), listed.Size)
	assert.WithinDuration(t, time.Now(), listed.ModifiedAt, time.Minute)
	stop := errors.New("enough")
	require.ErrorIs(t, s.contents.List(t.Context(), func(files.Content) error { return stop }), stop)
	require.NoError(t, listed.Remove(t.Context()))
	require.NoError(t, listed.Remove(t.Context()), "somebody else may have removed it")
	s.requireNothing(t, key)
}

func (s suite) concurrent(t *testing.T) {
	var all sync.WaitGroup
	for i := range int64(16) {
		all.Go(func() {
			key := s.key()
			size := i * 150_000
			want, err := io.ReadAll(noise(size))
			if !assert.NoError(t, err) || !assert.NoError(t, s.contents.Put(t.Context(), key, noise(size))) {
				return
			}
			r, err := s.contents.Open(t.Context(), key, 0, -1)
			if !assert.NoError(t, err) {
				return
			}
			got, err := io.ReadAll(r)
			assert.NoError(t, errors.Join(err, r.Close()))
			assert.True(t, bytes.Equal(want, got))
		})
	}
	all.Wait()
}
