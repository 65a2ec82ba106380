// Package blobs keeps the contents of files: in a folder, or in any store that speaks S3.
//
// Both keep a content whole or not at all, hold no more of it in memory than a part, and pass one conformance suite,
// blobstest.Run. Processes open one with Open and hand it to domain/files, which names keys and decides what is kept;
// nothing here knows of tenants, names or databases.
package blobs

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/platform/config"
)

// Open returns the contents that the settings name. It reaches for nothing yet, so that a process starts while a store
// is away; its errors are about the settings alone.
func Open(cfg config.Files) (files.Contents, error) {
	if cfg.FilesStore != "s3" {
		return NewFolder(cfg.FilesDir)
	}
	s3, err := NewS3(S3Config{
		Endpoint: cfg.S3Endpoint, Bucket: cfg.S3Bucket, Region: cfg.S3Region, PathStyle: cfg.S3PathStyle,
		AccessKeyID: cfg.S3AccessKeyID, SecretAccessKey: cfg.S3SecretAccessKey.Reveal(),
	})
	if err != nil {
		return nil, fmt.Errorf("FILES_STORE=s3: %w", err)
	}
	return s3, nil
}

// keyForm is what a key looks like: parts of harmless letters, so that none leads out of a folder or a bucket.
//
//nolint:gochecknoglobals // compiled once
var keyForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}(/[a-z0-9][a-z0-9-]{0,63}){0,7}$`)

var errKey = errors.New("blobs: this is no key")

func checkKey(key string) error {
	if !keyForm.MatchString(key) {
		return errKey
	}
	return nil
}
