package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// HeldError says that another process holds a lock.
type HeldError struct {
	Path string
	// Pid is the holder's, 0 where it is not known.
	Pid int
}

// Error names the file and the holder.
func (e *HeldError) Error() string {
	if e.Pid == 0 {
		return e.Path + " is locked by another process"
	}
	return fmt.Sprintf("%s is locked by process %d", e.Path, e.Pid)
}

// FileLock is a lock that a process holds on a file. The kernel frees it when the process ends, in whatever way, so a
// file that is left there means nothing.
type FileLock struct {
	file *os.File
}

// Lock takes the lock and returns a *HeldError at once where another process, or another call in this one, has it.
// The file is made, and says who holds it.
func Lock(path string) (*FileLock, error) { return lock(path, syscall.LOCK_EX|syscall.LOCK_NB) }

// LockWait takes the lock and waits for it until the context ends.
func LockWait(ctx context.Context, path string) (*FileLock, error) {
	for {
		l, err := Lock(path)
		var held *HeldError
		if !errors.As(err, &held) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// LockShared takes the lock together with others that share it.
func LockShared(path string) (*FileLock, error) { return lock(path, syscall.LOCK_SH|syscall.LOCK_NB) }

func lock(path string, how int) (*FileLock, error) {
	for {
		file, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open lock file: %w", err)
		}
		if err := flock(file, how); err != nil {
			held := &HeldError{Path: path, Pid: holder(file)}
			_ = file.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, held
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// Whoever held it may have removed the file while we opened it: then this lock excludes nobody.
		if !isStillAt(file, path) {
			_ = file.Close()
			continue
		}
		if how&syscall.LOCK_EX != 0 {
			if err := note(file); err != nil {
				_ = file.Close()
				return nil, fmt.Errorf("write lock file %s: %w", path, err)
			}
		}
		return &FileLock{file: file}, nil
	}
}

// Upgrade says whether nobody else shares the lock, and if so makes it exclusive.
func (l *FileLock) Upgrade() bool { return flock(l.file, syscall.LOCK_EX|syscall.LOCK_NB) == nil }

// Unlock frees the lock. It says so explicitly, since a child that is just being started has a copy of the descriptor until
// its exec, and closing ours alone would leave the lock with it.
func (l *FileLock) Unlock() error { return errors.Join(flock(l.file, syscall.LOCK_UN), l.file.Close()) }

// Remove frees the lock and removes the file, in an order that lets no other take it in between.
func (l *FileLock) Remove() error { return errors.Join(os.Remove(l.file.Name()), l.Unlock()) }

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err //nolint:wrapcheck // the callers tell EWOULDBLOCK
		}
	}
}

func isStillAt(file *os.File, path string) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

func note(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err //nolint:wrapcheck // the caller says what it was about
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err //nolint:wrapcheck // the caller says what it was about
}

func holder(file *os.File) int {
	b := make([]byte, 32)
	n, _ := file.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return 0
	}
	return pid
}
