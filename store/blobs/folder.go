package blobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/files"
)

// Folder keeps contents as files of a folder, which several processes may share. Its files are for the process's user
// alone. What is being written is in a folder of its own, draftDir, and gets its name when all of it is on the disk.
type Folder struct{ dir string }

var _ files.Contents = (*Folder)(nil)

const (
	draftDir   = ".drafts"
	folderMode = 0o700
	fileMode   = 0o600
)

// NewFolder returns the contents in a folder. It is made with the first content that is put.
func NewFolder(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("FILES_DIR: %w", err)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("FILES_DIR: %s is no folder; name one, or a path where one can be made", dir)
	}
	return &Folder{dir: dir}, nil
}

func (f *Folder) path(key string) string { return filepath.Join(f.dir, filepath.FromSlash(key)) }

// Put writes a draft, syncs it, names it, and syncs the name.
func (f *Folder) Put(ctx context.Context, key string, r io.Reader) (err error) {
	if err := checkKey(key); err != nil {
		return err
	}
	target, drafts := f.path(key), filepath.Join(f.dir, draftDir)
	for _, dir := range []string{drafts, filepath.Dir(target)} {
		if err := makeFolder(dir); err != nil {
			return err
		}
	}
	draft := filepath.Join(drafts, rand.Text())
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // a name of our own
	if err != nil {
		return fmt.Errorf("make a draft: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeFile(draft))
		}
	}()
	_, err = io.Copy(file, contextReader{ctx, r})
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the contents: %w", err)
	}
	if err := os.Rename(draft, target); err != nil {
		return fmt.Errorf("name the contents: %w", err)
	}
	if err := syncFolder(filepath.Dir(target)); err != nil {
		return errors.Join(err, removeFile(target))
	}
	return nil
}

// makeFolder makes a folder and those above it, each of which outlives a crash.
func makeFolder(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a folder: %w", err)
	}
	return syncFolder(parent)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // a path of our own
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("sync a folder: %w", err)
	}
	return nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context //nolint:containedctx // it lives for one copy
	r   io.Reader
}

// Read reads, unless the context has ended.
func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err //nolint:wrapcheck // the context's own
	}
	return c.r.Read(p)
}

// Open reads a part of a content.
func (f *Folder) Open(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	file, err := os.Open(f.path(key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, files.ErrNoContents
	case err != nil:
		return nil, fmt.Errorf("open the contents: %w", err)
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("go to the contents' part: %w", err), file.Close())
	}
	if length < 0 {
		return file, nil
	}
	return limited{io.LimitReader(file, length), file}, nil
}

// limited is a part of something that is closed.
type limited struct {
	io.Reader
	io.Closer
}

// Delete removes a content.
func (f *Folder) Delete(_ context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return removeFile(f.path(key))
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove contents: %w", err)
	}
	return nil
}

// unlessGone passes over what was removed while it was listed, and a folder that was not made yet.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List walks the folder in the order of names.
func (f *Folder) List(ctx context.Context, visit func(files.Content) error) error {
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return unlessGone(err)
		case ctx.Err() != nil:
			return ctx.Err()
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return unlessGone(err)
		}
		key := filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(path, f.dir), string(filepath.Separator)))
		isDraft := strings.HasPrefix(key, draftDir+"/")
		if !isDraft && !keyForm.MatchString(key) {
			return nil
		}
		if isDraft {
			key = ""
		}
		return visit(files.Content{
			Key: key, Size: info.Size(), ModifiedAt: info.ModTime(),
			Remove: func(context.Context) error { return removeFile(path) },
		})
	})
	if err != nil {
		return fmt.Errorf("list the contents: %w", err)
	}
	return nil
}
