package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/mediatype"
	"github.com/groundwork-saas/groundwork/store/blobs"
	"github.com/groundwork-saas/groundwork/store/postgres"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// fileStack is the service of files over a real database and a real folder, and its upkeep as the scheduler's role.
type fileStack struct {
	*storetest.Stack

	service *files.Service
	upkeep  files.Upkeep
	dir     string
	ahead   atomic.Int64
}

func newFileStack(t *testing.T, config files.Config) *fileStack {
	t.Helper()
	s := &fileStack{Stack: storetest.New(t), dir: t.TempDir()}
	contents, err := blobs.NewFolder(s.dir)
	require.NoError(t, err)
	s.service = files.NewService(files.Needs{
		Store: postgres.NewFiles(postgres.Shared{DB: s.DB}), Contents: contents, Sniff: mediatype.Of, Now: s.now,
	}, config)
	system := s.Open(t, postgres.Config{URL: s.SystemURL})
	s.upkeep = files.Upkeep{Store: postgres.NewSystemFiles(system), Contents: contents, RetainFor: 30 * 24 * time.Hour, Now: s.now}
	return s
}

func (s *fileStack) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func (s *fileStack) kept(tb testing.TB) int {
	tb.Helper()
	n := 0
	require.NoError(tb, s.upkeep.Contents.List(tb.Context(), func(files.Content) error {
		n++
		return nil
	}))
	return n
}

func (s *fileStack) upload(tb testing.TB, scope tenancy.Scope, content string) files.File {
	tb.Helper()
	f, err := s.service.Upload(tb.Context(), scope, strings.NewReader(content), files.Input{Name: "a.txt"})
	require.NoError(tb, err)
	return f
}

func (s *fileStack) usage(tb testing.TB, scope tenancy.Scope) files.Usage {
	tb.Helper()
	usage, err := s.service.Usage(tb.Context(), scope)
	require.NoError(tb, err)
	return usage
}

func TestFilesMadeByPrograms(t *testing.T) {
	t.Parallel()
	s := newFileStack(t, files.Config{MaxBytes: 10})
	scope := tenancy.AsSystem(s.TenantID(t), "")
	create := func(write func(io.Writer) error) (files.File, error) {
		return s.service.Create(t.Context(), scope, files.Meta{Name: "export.csv", Purpose: files.ForExport}, write)
	}

	f, err := create(func(w io.Writer) error {
		for i := range 200_000 {
			if _, err := fmt.Fprintf(w, "%d,value\n", i); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, "text/csv", f.ContentType)
	assert.Equal(t, files.Usage{Bytes: f.Size, Files: 1}, s.usage(t, scope))
	r, err := s.service.Open(t.Context(), f, 0, -1)
	require.NoError(t, err)
	data, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	assert.Equal(t, f.Size, int64(len(data)))
	assert.True(t, bytes.HasSuffix(data, []byte("199999,value\n")))

	empty, err := create(func(io.Writer) error { return nil })
	require.NoError(t, err, "a program may make an empty file")
	assert.Zero(t, empty.Size)

	broken := errors.New("the rows cannot be read")
	_, err = create(func(w io.Writer) error {
		_, wrote := io.WriteString(w, strings.Repeat("x", 1<<20))
		return errors.Join(broken, wrote)
	})
	require.ErrorIs(t, err, broken)
	assert.PanicsWithValue(t, "a bug", func() {
		_, _ = create(func(w io.Writer) error {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
			panic("a bug")
		})
	})
	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.service.Create(ctx, scope, files.Meta{Name: "a", Purpose: "export"}, func(w io.Writer) error {
		cancel()
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return err
			}
		}
	})
	require.Error(t, err, "a cancelled job ends")
	assert.Equal(t, 2, s.kept(t), "of what failed nothing is kept")
	assert.Equal(t, int64(2), s.usage(t, scope).Files)
}

func TestFilesAreCountedExactly(t *testing.T) {
	t.Parallel()
	s := newFileStack(t, files.Config{QuotaBytes: 1000})
	scope := s.Tenant(t)
	var kept, refused atomic.Int64
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			_, err := s.service.Upload(t.Context(), scope, strings.NewReader(strings.Repeat("x", 90)), files.Input{Name: "a.txt"})
			switch {
			case err == nil:
				kept.Add(1)
			case fault.Is(err, "file.quota_exceeded"):
				refused.Add(1)
			default:
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	assert.Equal(t, int64(11), kept.Load(), "as many as fit, whoever was first")
	assert.Equal(t, int64(19), refused.Load())
	assert.Equal(t, files.Usage{Bytes: 990, Files: 11}, s.usage(t, scope))
	assert.Equal(t, 11, s.kept(t))
	assert.Equal(t, files.Usage{}, s.usage(t, s.Tenant(t)), "and nobody else's")
}

func TestFilesUpkeep(t *testing.T) {
	t.Parallel()
	s := newFileStack(t, files.Config{})
	one, other := s.Tenant(t), s.Tenant(t)
	stays, goes, others := s.upload(t, one, "stays"), s.upload(t, one, "goes for good"), s.upload(t, other, "of another")
	require.NoError(t, s.service.Delete(t.Context(), one, goes.ID))
	require.NoError(t, s.service.Delete(t.Context(), other, others.ID))

	purged, err := s.upkeep.Purge(t.Context())
	require.NoError(t, err)
	assert.Zero(t, purged, "the trash is kept for a while")
	s.ahead.Store(int64(31 * 24 * time.Hour))
	_, err = s.service.Restore(t.Context(), other, others.ID)
	require.NoError(t, err)
	purged, err = s.upkeep.Purge(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, purged)
	assert.Equal(t, files.Usage{Bytes: 5, Files: 1}, s.usage(t, one))
	assert.Equal(t, 2, s.kept(t))
	_, err = s.service.Restore(t.Context(), one, goes.ID)
	require.True(t, fault.Is(err, "file.not_found"), "%v", err)
	var audited int
	require.NoError(t, s.Admin(t).QueryRow(t.Context(), "select count(*) from audit_events where action = 'file.purged' and resource_id = $1",
		goes.ID.String()).Scan(&audited))
	assert.Equal(t, 1, audited)

	// What has no file: contents of a crash before the commit, a draft of one in the middle, and something of others'.
	orphan := files.Key(one.Tenant, tenancy.NewID())
	require.NoError(t, s.upkeep.Contents.Put(t.Context(), orphan, strings.NewReader("orphan")))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, ".drafts", "crashed"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "README"), []byte("x"), 0o600))
	s.ahead.Store(0)
	swept, err := s.upkeep.Sweep(t.Context())
	require.NoError(t, err)
	assert.Zero(t, swept, "what is fresh may become a file yet")
	s.ahead.Store(int64(25 * time.Hour))
	swept, err = s.upkeep.Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, swept)
	assert.FileExists(t, filepath.Join(s.dir, "README"))
	for _, f := range []files.File{stays, others} {
		r, err := s.service.Open(t.Context(), f, 0, -1)
		require.NoError(t, err, "a file's contents stay")
		require.NoError(t, r.Close())
	}
}

func TestFilesAreATenantsOwn(t *testing.T) {
	t.Parallel()
	s := newFileStack(t, files.Config{})
	mine, theirs := s.Tenant(t), s.Tenant(t)
	f := s.upload(t, mine, "mine")
	_, err := s.service.Find(t.Context(), theirs, f.ID)
	assert.True(t, fault.Is(err, "file.not_found"))
	assert.True(t, fault.Is(s.service.Delete(t.Context(), theirs, f.ID), "file.not_found"))
	p, err := s.service.List(t.Context(), theirs, files.Query{Trash: files.WithTrash})
	require.NoError(t, err)
	assert.Empty(t, p.Items)
	due, err := postgres.NewSystemFiles(s.DB).ListDueFiles(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	assert.Empty(t, due, "the app's role sees nothing across tenants")
}
