package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/devstack/mailsink"
	"github.com/groundwork-saas/groundwork/platform/devstack/proc"
)

// stack is one run.
type stack struct {
	settings

	out *terminal
	now func() time.Time

	secrets       *secrets
	postgres      *devstack.Server      // nil with DATABASE_URL
	redis         *devstack.RedisServer // nil with REDIS_URL
	mails         *mailsink.Sink        // nil with SMTP_URL
	adminURL      string
	redisURLOfRun string
	children      []*child
}

const stackFile = "stack.json"

// run brings everything up and returns when everything is down again: nil when the context ended, an error when
// something went wrong. When hurry ends, it no longer waits for anybody to finish.
func (s *stack) run(ctx, hurry context.Context) error {
	err := s.runLocked(ctx, hurry)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // it was asked to stop before there was much to stop
	}
	return s.explain(err)
}

func (s *stack) runLocked(ctx, hurry context.Context) (err error) {
	began := s.now()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make LOCAL_DIR: %w", err)
	}
	lock, err := proc.Lock(filepath.Join(s.dir, "lock"))
	if err != nil {
		return s.explainHeld(err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := os.Remove(s.path(stackFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an earlier run's %s: %w", stackFile, err)
	}
	if err := s.endLeftovers(ctx); err != nil {
		return err
	}
	if err := checkPorts(ctx, s.listensOn()); err != nil {
		return err
	}
	if s.secrets, err = readSecrets(s.dir, s.variables["MASTER_KEY"]); err != nil {
		return err
	}
	s.out.say("starting; data, logs and secrets are in %s (Ctrl-C stops)", s.shown(""))
	if err = s.bringUp(ctx); err == nil {
		s.out.print([]byte(s.summary(s.now().Sub(began))))
		err = s.watch(ctx)
	}
	if ctx.Err() != nil {
		err = nil // what goes wrong once we are asked to stop is a consequence of that
	}
	return errors.Join(err, s.stop(hurry))
}

// bringUp starts everything and writes stack.json when all of it is ready.
func (s *stack) bringUp(ctx context.Context) error {
	if err := s.atOnce(ctx, s.build, s.startPostgres, s.startRedis, s.startMails); err != nil {
		return err
	}
	for _, p := range s.programs {
		c, err := s.start(ctx, p)
		if err != nil {
			return err
		}
		s.children = append(s.children, c)
		if err := s.noteProcesses(); err != nil {
			return err
		}
	}
	var ready []func(context.Context) error
	for _, c := range s.children {
		ready = append(ready, func(ctx context.Context) error {
			return c.awaitReady(ctx, s.addresses[c.ops], time.Minute)
		})
	}
	if err := s.atOnce(ctx, ready...); err != nil {
		return err
	}
	if err := s.prepareDemo(ctx); err != nil {
		return err
	}
	return s.writeStack()
}

// atOnce runs the steps side by side, and returns when all have ended. The first that goes wrong ends the others.
func (s *stack) atOnce(ctx context.Context, steps ...func(context.Context) error) error {
	all, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make(chan error, len(steps))
	for _, step := range steps {
		go func() {
			err := step(all)
			if err != nil {
				cancel(err)
			}
			results <- err
		}()
	}
	for range steps {
		<-results
	}
	return context.Cause(all)
}

// writeStack tells scripts where everything is: an address for each part that exists, and the demo tenant.
func (s *stack) writeStack() error {
	content := map[string]any{"demo": s.secrets.Demo}
	for _, p := range s.programs {
		for key, variable := range p.origins {
			content[key] = s.addresses[variable].origin()
		}
	}
	if s.mails != nil {
		content["mail"] = s.addresses[mailAddress].origin()
	}
	b, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", stackFile, err)
	}
	if err := devstack.WriteFile(s.path(stackFile), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", stackFile, err)
	}
	return nil
}

// watch returns nil when the context ends, and why when something ends that should not.
func (s *stack) watch(ctx context.Context) error {
	ended := make(chan error)
	report := func(done <-chan struct{}, why func() error) {
		go func() {
			select {
			case <-done:
			case <-ctx.Done():
				return
			}
			select {
			case ended <- why():
			case <-ctx.Done():
			}
		}()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, c := range s.children {
		report(c.process.Done(), c.died)
	}
	if s.postgres != nil {
		report(s.postgres.Done(), s.postgres.Err)
	}
	if s.redis != nil {
		report(s.redis.Done(), s.redis.Err)
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

// stop ends everything: stack.json first, then those who use the databases, then these.
func (s *stack) stop(ctx context.Context) error {
	err := os.Remove(s.path(stackFile))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if len(s.children) > 0 {
		s.out.say("stopping (once more to stop at once)")
	}
	errs := make(chan error, len(s.children))
	for _, c := range s.children {
		go func() { errs <- c.process.Stop(ctx, proc.Step{Signal: syscall.SIGTERM, Wait: 40 * time.Second}) }()
	}
	for range s.children {
		err = errors.Join(err, <-errs)
	}
	// These need no hurrying: nobody uses them any more, and a database that is killed takes longer to come back.
	ctx = context.WithoutCancel(ctx)
	if s.mails != nil {
		err = errors.Join(err, s.stopMails(ctx))
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Stop(ctx))
	}
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Stop(ctx))
	}
	if removeErr := os.Remove(s.path(processesFile)); removeErr != nil && !errors.Is(removeErr, os.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	if err == nil && len(s.children) > 0 {
		s.out.say("stopped; the data stays in %s", s.dir)
	}
	return err
}

func (s *stack) path(name string) string { return filepath.Join(s.dir, name) }

// explain adds the way out to what the machine does not give us.
func (s *stack) explain(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ToLower(err.Error())
	switch {
	case errors.Is(err, syscall.ENOSPC), strings.Contains(text, "no space left on device"), strings.Contains(text, "disk is full"):
		return fmt.Errorf("%w\nThe disk is full: free some space, or choose another directory with LOCAL_DIR", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w\n%s must be yours to write to: choose another directory with LOCAL_DIR, or give it back to yourself "+
			"(a run as root may have left files there)", err, s.dir)
	default:
		return err
	}
}

// explainHeld says who uses the directory.
func (s *stack) explainHeld(err error) error {
	var held *proc.HeldError
	if !errors.As(err, &held) {
		return err
	}
	if held.Pid == 0 {
		return fmt.Errorf("another run uses %s: stop it, or choose another directory with LOCAL_DIR", s.dir)
	}
	return fmt.Errorf("another run (process %d) uses %s.\n  Stop it with Ctrl-C where it runs, or: kill %d\n  or run beside it with another LOCAL_DIR and other ports",
		held.Pid, s.dir, held.Pid)
}
