package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// unprivileged is the user that PostgreSQL runs as where we are root; nil stands for ourselves.
type unprivileged struct {
	name     string
	uid, gid uint32
}

// unprivilegedUser finds that user: whoever owns the directory, where somebody made it before us, else one of the usual.
func unprivilegedUser(dir string) (*unprivileged, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is the user who runs us
	}
	if info, err := os.Lstat(dir); err == nil {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
			return &unprivileged{name: strconv.FormatUint(uint64(owner.Uid), 10), uid: owner.Uid, gid: owner.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &unprivileged{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and this system has neither a user postgres nor nobody: " +
		"run this as an ordinary user, or set DATABASE_URL to a server of your own")
}

func (u *unprivileged) credential() *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: []uint32{u.gid}}
}

// own makes a directory that is the user's alone.
func (u *unprivileged) own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err //nolint:wrapcheck // the caller says what it was about
	}
	return u.take(dir)
}

// write makes a file that is the user's alone.
func (u *unprivileged) write(path, content string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err //nolint:wrapcheck // the caller says what it was about
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err //nolint:wrapcheck // the caller says what it was about
	}
	return u.take(path)
}

func (u *unprivileged) take(path string) error {
	if u == nil {
		return nil
	}
	if err := os.Lchown(path, int(u.uid), int(u.gid)); err != nil {
		return fmt.Errorf("give %s to user %s: %w", path, u.name, err)
	}
	return nil
}
