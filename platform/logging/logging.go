// Package logging makes the logger of a process: logrus, one JSON object a line, without secrets.
//
// Each process makes one logger with New and hands it down; nothing logs through a global. What belongs to a request
// (its id, its tenant) is put into the context once, with Into, and stands in every line that is logged with
// WithContext. Secrets are taken out by the name of their field and by their shape, on the way to the output and
// whatever the caller did; that is a net under the rule that secrets are not logged, and no leave to break it.
package logging

import (
	"context"
	"io"
	"log"
	"maps"
	"os"
	"strings"

	"github.com/sirupsen/logrus"
)

// Config says how a process logs.
type Config struct {
	// Level is the least level that is logged: debug, info, warn or error. Empty is info.
	Level string
	// Development writes text for people where the output is a terminal.
	Development bool
	// Output takes the lines; nil is standard error.
	Output io.Writer
	// Process is put into every line as "process": api, worker, scheduler. Empty leaves it out.
	Process string
}

// New returns a logger. A level that it does not know is info.
func New(cfg Config) *logrus.Logger {
	if cfg.Output == nil {
		cfg.Output = os.Stderr
	}
	logger := logrus.New()
	logger.SetOutput(cfg.Output)
	if level, err := logrus.ParseLevel(cfg.Level); err == nil {
		logger.SetLevel(level)
	}
	var inner logrus.Formatter = &logrus.JSONFormatter{
		TimestampFormat:   "2006-01-02T15:04:05.000Z07:00",
		DisableHTMLEscape: true,
		FieldMap:          logrus.FieldMap{logrus.FieldKeyMsg: "message"},
	}
	if cfg.Development && isTerminal(cfg.Output) {
		inner = &logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000"}
	}
	logger.SetFormatter(&formatter{next: inner, process: cfg.Process})
	return logger
}

type contextKey struct{}

// Into returns a context whose lines carry the fields, beside those that ctx has already.
func Into(ctx context.Context, fields logrus.Fields) context.Context {
	all := maps.Clone(From(ctx))
	maps.Copy(all, fields)
	return context.WithValue(ctx, contextKey{}, all)
}

// From returns the fields that were put into ctx, for a line that is logged without it. The map is shared: copy it
// to change it.
func From(ctx context.Context) logrus.Fields {
	if ctx != nil {
		if fields, ok := ctx.Value(contextKey{}).(logrus.Fields); ok {
			return fields
		}
	}
	return logrus.Fields{}
}

// Standard returns a logger of the standard library whose lines become warnings, for http.Server.ErrorLog and its like.
func Standard(logger *logrus.Logger, component string) *log.Logger {
	return log.New(warnings{logger.WithField("component", component)}, "", 0)
}

type warnings struct{ entry *logrus.Entry }

// Write logs what the standard library's logger has made one line of.
func (w warnings) Write(p []byte) (int, error) {
	w.entry.Warn(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// formatter adds the context's fields, takes secrets out, bounds the line and leaves the rest to the next formatter. It works on a
// copy: an entry may be used again, by another goroutine at the same time.
type formatter struct {
	next    logrus.Formatter
	process string
}

// Format implements logrus.Formatter.
func (f *formatter) Format(entry *logrus.Entry) ([]byte, error) {
	message, data := Clean(entry)
	if _, named := data["process"]; f.process != "" && !named {
		data["process"] = f.process
	}
	clean := *entry
	clean.Data = data
	clean.Message = message
	return f.fit(&clean)
}

// Clean returns what an entry says, its context's fields beside its own, without secrets: for whoever takes entries
// elsewhere than to the output. The fields are a copy.
func Clean(entry *logrus.Entry) (message string, fields logrus.Fields) {
	bound := From(entry.Context)
	fields = make(logrus.Fields, len(entry.Data)+len(bound)+1)
	for _, some := range []logrus.Fields{bound, entry.Data} {
		for name, value := range some {
			fields[name] = redactField(name, value)
		}
	}
	return Redact(entry.Message), fields
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
