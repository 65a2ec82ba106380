package devstack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The free space in bytes below which a database is not worth making, or starting.
const (
	neededToMake  = 96 << 20
	neededToStart = 24 << 20
)

// explain says what was tried and why it did not work, with the way out for the causes that are not ours.
func (c *cluster) explain(act string, err error) error {
	if err == nil {
		err = errors.New("without an error")
	}
	if hasEnd := strings.HasPrefix(act, "PostgreSQL has ended"); hasEnd {
		return c.explainWith(act, err, []byte(tail(c.path("postgres.log"), 0)))
	}
	return c.explainWith(act, err, nil)
}

func (c *cluster) explainWith(act string, err error, output []byte) error {
	said := lastLines(string(output), 12)
	text := err.Error() + said
	hint := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), strings.Contains(text, "No space left on device"), strings.Contains(text, "no space left"):
		hint = "\nThe disk is full: " + describeSpace(c.Dir)
	case errors.Is(err, syscall.EROFS):
		hint = "\nThe file system of " + c.Dir + " is read-only: choose another directory."
	case errors.Is(err, os.ErrPermission), strings.Contains(text, "Permission denied"):
		hint = "\n" + c.describeAccess()
	case strings.Contains(text, "could not create shared memory segment"):
		hint = "\nThe system has too little shared memory for another PostgreSQL: end one, or raise the limit."
	}
	if said != "" {
		said = "\nIts last words:\n" + said
	}
	return fmt.Errorf("%s in %s: %w%s%s", act, c.Dir, err, said, hint)
}

func (c *cluster) describeAccess() string {
	if c.user != nil {
		return fmt.Sprintf("PostgreSQL runs as user %s here, as it refuses root; that user must reach its files in %s.", c.user.name, c.Dir)
	}
	return fmt.Sprintf("You (user %d) must own %s and what is in it; a run as root may have left files there.", os.Geteuid(), c.Dir)
}

// checkSpace refuses a disk that has no room before anything is half written to it.
func (c *cluster) checkSpace() error {
	dir, needed := c.Dir, uint64(neededToStart)
	if _, err := os.Lstat(c.data()); err != nil {
		needed = neededToMake
	}
	if free, ok := freeSpace(dir); ok && free < needed {
		return fmt.Errorf("the disk is full: %s At least %d MiB must be free",
			describeSpace(dir), needed>>20)
	}
	return nil
}

func describeSpace(dir string) string {
	free, ok := freeSpace(dir)
	if !ok {
		return dir + " has no room left."
	}
	return fmt.Sprintf("%s has %d MiB left.", dir, free>>20)
}

func freeSpace(dir string) (uint64, bool) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, false
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), true //nolint:gosec,unconvert // the types differ between systems
}

// tail returns the end of a log, from an offset on, at most some kilobytes.
func tail(path string, from int64) string {
	const most = 8 << 10
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return ""
	}
	defer closeFile(f)
	if size, err := f.Seek(0, io.SeekEnd); err == nil && size-from > most {
		from = size - most
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, most))
	if err != nil {
		return ""
	}
	return string(b)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = lines[max(0, len(lines)-n):]
	return strings.Join(lines, "\n")
}

// WriteFile writes a file as a whole or not at all: whoever reads it meanwhile sees the old content or the new.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err //nolint:wrapcheck // the path is in it
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
