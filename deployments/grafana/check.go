package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// check asks all questions, prints what came back for each panel, and returns an error where a question is refused, or where
// one has no answer that should. Without an address of Loki nothing is asked in LogQL.
func check(ctx context.Context, prometheus, loki string, out io.Writer) error {
	var wrong []error
	for _, b := range boards() {
		fmt.Fprintf(out, "\n%s\n", b.title)
		typed, err := b.typed(ctx, loki)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, question := range p.queries {
					found, err := ask(ctx, prometheus, loki, question, p.kind, typed)
					where := b.title + ", " + p.title
					switch {
					case err != nil:
						wrong = append(wrong, fmt.Errorf("%s: %w", where, err))
					case found.count == 0 && !p.mayBeEmpty && !found.skipped:
						wrong = append(wrong, fmt.Errorf("%s: nothing came back for %s", where, question.expr))
					}
					fmt.Fprintf(out, "  %-46s %4d  %s\n", p.title, found.count, found.sample)
				}
			}
		}
	}
	return errors.Join(wrong...)
}

// ask puts one question to whom it is for.
func ask(ctx context.Context, prometheus, loki string, question query, kind string, typed *strings.Replacer) (answer, error) {
	switch {
	case !question.logs:
		return askPrometheus(ctx, prometheus, question)
	case loki == "":
		return answer{skipped: true, sample: "(Loki is not asked)"}, nil
	case kind == "logs":
		return askLines(ctx, loki, typed.Replace(question.expr))
	default:
		return askNumbers(ctx, loki, typed.Replace(question.expr))
	}
}

// typed is what somebody might have typed into the board's fields: of each the first example that the logs have.
func (b board) typed(ctx context.Context, loki string) (*strings.Replacer, error) {
	texts := []string{"$__range", lokiRange}
	for _, f := range b.asks {
		if loki == "" {
			break
		}
		lines, err := linesOf(ctx, loki, f.example)
		if err != nil {
			return nil, fmt.Errorf("%s, field %s: %w", b.title, f.name, err)
		}
		text := ""
		for _, line := range lines {
			if text = line.labels[f.name]; text != "" {
				break
			}
		}
		if text == "" {
			return nil, fmt.Errorf("%s, field %s: no line of the last %s has one: %s", b.title, f.name, lokiRange, f.example)
		}
		texts = append(texts, "$"+f.name, text)
	}
	return strings.NewReplacer(texts...), nil
}
