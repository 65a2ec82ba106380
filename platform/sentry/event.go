package sentry

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/logging"
)

// tags are the fields of a line that are sent, as tags. A field that is not here is not sent.
func tags() []string {
	return []string{
		"tenant", "user", "api_key_id", "request_id", "trace_id", "route", "method", "status", "outcome", // requests
		"kind", "queue", "job", "attempt", "state", // jobs
		"component", "duty", "round", "schedule", "part", // what runs by itself
	}
}

// kinds are the tags that say what was being done; two errors are the same where these are.
func kinds() []string {
	return []string{"route", "method", "kind", "component", "duty", "round", "schedule", "part"}
}

// said is a line without its secrets.
type said struct {
	message string
	fields  logrus.Fields
	level   logrus.Level
	at      time.Time
	// callers are who logged it.
	callers []uintptr
}

func (s said) text(field string) string {
	value, ok := s.fields[field]
	if !ok || value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// event makes of a line what Sentry shows.
func (r *Reporter) event(s said) *sentry.Event {
	event := sentry.NewEvent()
	event.Level, event.Timestamp, event.Logger = sentry.LevelError, s.at, r.process
	if s.level < logrus.ErrorLevel {
		event.Level = sentry.LevelFatal
	}
	event.Tags = map[string]string{"process": r.process}
	for _, name := range tags() {
		if value := s.text(name); value != "" {
			event.Tags[name] = value
		}
	}
	event.User = sentry.User{ID: event.Tags["user"]}
	event.Transaction = cmp.Or(event.Tags["route"], event.Tags["kind"], event.Tags["duty"], event.Tags["round"])

	why, stack := splitStack(s.text(logrus.ErrorKey))
	stack = cmp.Or(s.text("stack"), stack)
	exception := sentry.Exception{Type: s.message, Value: cmp.Or(why, s.message)}
	if frames := parseStack(stack); len(frames) > 0 {
		exception.Type, exception.Stacktrace = "panic", &sentry.Stacktrace{Frames: frames}
		exception.Value = strings.TrimPrefix(why, "panic: ")
	} else {
		exception.Stacktrace = &sentry.Stacktrace{Frames: framesOf(s.callers)}
		// All lines of a process are logged in few places: where says little about what.
		event.Fingerprint = []string{r.process, s.message, shape(why)}
		for _, name := range kinds() {
			event.Fingerprint = append(event.Fingerprint, event.Tags[name])
		}
	}
	event.Exception = []sentry.Exception{exception}
	return event
}

// splitStack parts an error's text from the stack that was put behind it.
func splitStack(text string) (why, stack string) {
	const begins = "\ngoroutine "
	if at := strings.Index(text, begins); at >= 0 {
		return text[:at], text[at+1:]
	}
	return text, ""
}

// What differs between two times of one error: ids, numbers, quoted values.
var (
	quoted  = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	numbers = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\b0x[0-9a-fA-F]+\b|\d+`)
)

func shape(why string) string {
	return numbers.ReplaceAllString(quoted.ReplaceAllString(why, "…"), "#")
}

// email is an e-mail address, also one in a URL's form.
var email = regexp.MustCompile(`[\w.+%-]+(@|%40)[\w-]+(\.[\w-]+)+`)

func scrubText(s string) string { return email.ReplaceAllString(logging.Redact(s), "[e-mail]") }

// scrub takes secrets and addresses out of an event, whoever has put them there, and drops what would hold a request.
func scrub(event *sentry.Event) *sentry.Event {
	event.Request, event.Attachments, event.Breadcrumbs = nil, nil, nil
	event.User = sentry.User{ID: event.User.ID}
	event.Message, event.Transaction = scrubText(event.Message), scrubText(event.Transaction)
	for i := range event.Exception {
		event.Exception[i].Type = scrubText(event.Exception[i].Type)
		event.Exception[i].Value = scrubText(event.Exception[i].Value)
	}
	for name, value := range event.Tags {
		event.Tags[name] = scrubText(value)
	}
	for i := range event.Fingerprint {
		event.Fingerprint[i] = scrubText(event.Fingerprint[i])
	}
	return event
}
