package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// profiles asks the API everything once more while it is profiled, for go tool pprof.
func (w *work) profiles(ctx context.Context, kinds []kind) error {
	if err := os.MkdirAll(w.profile, 0o750); err != nil {
		return fmt.Errorf("make a directory for profiles: %w", err)
	}
	const seconds = 5
	for _, k := range kinds {
		if k.bulk {
			continue
		}
		name := strings.NewReplacer(" ", "-", ",", "").Replace(k.name)
		done := make(chan error, 1)
		go func() {
			_, err := w.ask(ctx, k, w.contestants[0], w.clients, (seconds+1)*time.Second, 0)
			done <- err
		}()
		err := w.fetch(ctx, "profile?seconds="+strconv.Itoa(seconds), name+".cpu")
		if err == nil {
			err = w.fetch(ctx, "allocs?seconds=1", name+".allocs")
		}
		if asked := <-done; err == nil {
			err = asked
		}
		if err != nil {
			return err
		}
		w.say("profiled: %s", k.name)
	}
	return nil
}

func (w *work) fetch(ctx context.Context, what, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.api.ops+"/debug/pprof/"+what, http.NoBody)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("take a profile: %s (%w)", response.Status, err)
	}
	if err := os.WriteFile(filepath.Join(w.profile, file), body, 0o600); err != nil {
		return fmt.Errorf("keep a profile: %w", err)
	}
	return nil
}
