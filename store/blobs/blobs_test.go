package blobs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/store/blobs"
	"github.com/groundwork-saas/groundwork/store/blobs/blobstest"
)

func TestFolder(t *testing.T) {
	t.Parallel()
	folder, err := blobs.NewFolder(filepath.Join(t.TempDir(), "not", "yet", "there"))
	require.NoError(t, err)
	require.NoError(t, folder.List(t.Context(), func(files.Content) error { return nil }), "before it is there")
	blobstest.Run(t, folder)
}

func s3Of(tb testing.TB, b blobstest.Bucket) *blobs.S3 {
	tb.Helper()
	s3, err := blobs.NewS3(blobs.S3Config{
		Endpoint: b.URL, Bucket: b.Name, PathStyle: true,
		AccessKeyID: blobstest.AccessKeyID, SecretAccessKey: blobstest.SecretAccessKey,
	})
	require.NoError(tb, err)
	return s3
}

func TestS3(t *testing.T) {
	t.Parallel()
	blobstest.Run(t, s3Of(t, blobstest.StartS3(t)))
}

// TestS3Elsewhere holds a server that somebody runs to the same, where S3_TEST_ENDPOINT names one.
func TestS3Elsewhere(t *testing.T) {
	t.Parallel()
	endpoint := os.Getenv("S3_TEST_ENDPOINT")
	if endpoint == "" {
		return
	}
	s3, err := blobs.NewS3(blobs.S3Config{
		Endpoint: endpoint, Bucket: os.Getenv("S3_TEST_BUCKET"), PathStyle: true,
		AccessKeyID: os.Getenv("S3_TEST_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("S3_TEST_SECRET_ACCESS_KEY"),
	})
	require.NoError(t, err)
	blobstest.Run(t, s3)
}

func TestFolderModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	folder, err := blobs.NewFolder(dir)
	require.NoError(t, err)
	key := files.Key(tenancy.NewID(), tenancy.NewID())
	require.NoError(t, folder.Put(t.Context(), key, strings.NewReader("x")))
	for path := filepath.Join(dir, key); len(path) >= len(dir); path = filepath.Dir(path) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Zero(t, info.Mode().Perm()&0o077, "%s is for its owner alone", path)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, cfg := range map[string]config.Files{
		"FILES_DIR":            {FilesStore: "folder", FilesDir: file},
		"S3_BUCKET":            {FilesStore: "s3", S3Endpoint: "https://s3.example.com"},
		"S3_ENDPOINT":          {FilesStore: "s3", S3Endpoint: "https://s3.example.com/path", S3Bucket: "b"},
		"S3_SECRET_ACCESS_KEY": {FilesStore: "s3", S3Endpoint: "https://s3.example.com", S3Bucket: "b", S3AccessKeyID: "k"},
	} {
		_, err := blobs.Open(cfg)
		require.ErrorContains(t, err, name)
	}
	for _, cfg := range []config.Files{
		{FilesStore: "folder", FilesDir: filepath.Join(file, "..", "new")},
		{FilesStore: "s3", S3Endpoint: "https://s3.example.com", S3Bucket: "b", S3AccessKeyID: "k", S3SecretAccessKey: "s"},
	} {
		_, err := blobs.Open(cfg)
		require.NoError(t, err)
	}
}
