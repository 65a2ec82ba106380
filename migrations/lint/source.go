package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/wasilibs/go-pgquery/parser"
)

// source is one file, read.
type source struct {
	noTransaction bool
	statements    []statement
	markers       []*marker
}

// statement is one that goes up.
type statement struct {
	node

	line    int
	markers []*marker
}

// marker is a comment that tells the linter something.
type marker struct {
	line int
	// allow is the rule that the statement below may break; contract is the release since which nothing uses what the
	// statement below takes away.
	allow    ruleName
	contract string
	used     bool
	// wrong says what is wrong with the marker itself.
	wrong string
}

// syntaxError is a file that PostgreSQL would not read.
type syntaxError struct {
	line int
	err  error
}

// Error is what PostgreSQL said.
func (e *syntaxError) Error() string { return e.err.Error() }

var (
	section       = regexp.MustCompile(`(?im)^--[ \t]*\+goose[ \t]+(Up|Down)[ \t]*\r?$`)
	noTransaction = regexp.MustCompile(`(?im)^--[ \t]*\+goose[ \t]+NO[ \t]+TRANSACTION[ \t]*\r?$`)
	markerLine    = regexp.MustCompile(`^[ \t]*--[ \t]*(lint|contract)[ \t]*:[ \t]*(.*?)[ \t\r]*$`)
	anyMarker     = regexp.MustCompile(`--[ \t]*(lint|contract)[ \t]*:[ \t]*(.*?)[ \t\r]*$`)
	allowance     = regexp.MustCompile(`^allow[ \t]+([a-z-]+)[ \t]*(?::[ \t]*(.*))?$`)
	release       = regexp.MustCompile(`^v?\d+\.\d+\.\d+$`)
)

// read takes a file apart. The parts that do not go up are blanked, so that lines and offsets stay what they are.
func read(text string) (*source, *syntaxError) {
	s := &source{noTransaction: noTransaction.MatchString(text)}
	up, down, err := sections(text)
	if err != nil {
		return nil, &syntaxError{line: 1, err: err}
	}
	if _, err := parse(down); err != nil {
		return nil, err
	}
	tree, failure := parse(up)
	if failure != nil {
		return nil, failure
	}
	for _, raw := range tree.Stmts {
		begin := raw.Location + gapOf(up[raw.Location:])
		s.statements = append(s.statements, statement{
			node: raw.Stmt, line: lineOf(up, begin), markers: s.gap(up, raw.Location, begin),
		})
		end := raw.Location + raw.Length
		if raw.Length == 0 {
			end = len(up)
		}
		s.stray(up, begin, end)
	}
	last := 0
	if n := len(tree.Stmts); n > 0 {
		last = tree.Stmts[n-1].Location + tree.Stmts[n-1].Length
		if tree.Stmts[n-1].Length == 0 {
			last = len(up)
		}
	}
	s.stray(up, last, len(up))
	if first := section.FindStringIndex(text); first != nil {
		s.stray(text, 0, first[0])
	}
	return s, nil
}

// sections are the part that goes up and the one that goes down, each with the rest of the file blanked.
func sections(text string) (up, down string, err error) {
	marks := section.FindAllStringSubmatchIndex(text, -1)
	if len(marks) == 0 {
		return "", "", errors.New("the file has no line -- +goose Up")
	}
	part := map[string][]byte{"up": blank(text), "down": blank(text)}
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		copy(part[strings.ToLower(text[m[2]:m[3]])][m[1]:end], text[m[1]:end])
	}
	return string(part["up"]), string(part["down"]), nil
}

func blank(text string) []byte {
	b := []byte(text)
	for i := range b {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
	return b
}

func parse(text string) (tree, *syntaxError) {
	said, err := parser.ParseToJSON(text)
	var wrong *parser.Error
	if errors.As(err, &wrong) {
		return tree{}, &syntaxError{line: lineOf(text, max(0, min(wrong.Cursorpos-1, len(text)))), err: errors.New(wrong.Message)}
	}
	if err != nil {
		return tree{}, &syntaxError{line: 1, err: err}
	}
	var t tree
	if err := json.Unmarshal([]byte(said), &t); err != nil {
		return tree{}, &syntaxError{line: 1, err: fmt.Errorf("read the parse tree: %w", err)}
	}
	return t, nil
}

// gapOf is how many bytes of white space and comments a text begins with.
func gapOf(text string) int {
	at := 0
	for at < len(text) {
		rest := text[at:]
		switch {
		case strings.ContainsRune(" \t\r\n\f\v", rune(rest[0])):
			at++
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				return len(text)
			}
			at += end
		case strings.HasPrefix(rest, "/*"):
			at += commentLength(rest)
		default:
			return at
		}
	}
	return at
}

// commentLength is that of the comment /* … */ that a text begins with; such comments nest.
func commentLength(text string) int {
	depth, at := 0, 0
	for at+1 < len(text) {
		switch text[at : at+2] {
		case "/*":
			depth++
			at += 2
		case "*/":
			depth--
			at += 2
		default:
			at++
		}
		if depth == 0 {
			return at
		}
	}
	return len(text)
}

func lineOf(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }

// gap reads the markers above a statement. What stands behind the statement before, on its line, is not above.
func (s *source) gap(text string, from, to int) []*marker {
	start := from
	if from > 0 {
		end := strings.IndexByte(text[from:to], '\n')
		if end < 0 {
			return nil
		}
		s.stray(text, from, from+end)
		start = from + end
	}
	found := markersIn(markerLine, text, lines{start, to})
	s.markers = append(s.markers, found...)
	return found
}

// stray notes markers that stand where they mean nothing.
func (s *source) stray(text string, from, to int) {
	for _, m := range markersIn(anyMarker, text, lines{from, to}) {
		m.wrong = "the marker stands above no statement"
		s.markers = append(s.markers, m)
	}
}

// lines are a part of a text, by its bytes.
type lines struct{ from, to int }

func markersIn(pattern *regexp.Regexp, text string, part lines) []*marker {
	var found []*marker
	line := lineOf(text, part.from)
	for each := range strings.SplitSeq(text[part.from:part.to], "\n") {
		if match := pattern.FindStringSubmatch(each); match != nil {
			found = append(found, newMarker(line, match[1], match[2]))
		}
		line++
	}
	return found
}

func newMarker(line int, kind, said string) *marker {
	m := &marker{line: line}
	if kind == "contract" {
		m.contract = said
		if !release.MatchString(said) {
			m.wrong = fmt.Sprintf("%q is no release, such as 1.4.0", said)
		}
		return m
	}
	match := allowance.FindStringSubmatch(said)
	switch {
	case match == nil:
		m.wrong = "it is written -- lint: allow <rule>: <reason>"
	case !isRule(ruleName(match[1])):
		m.wrong = fmt.Sprintf("there is no rule %q", match[1])
	case strings.TrimSpace(match[2]) == "":
		m.allow, m.wrong = ruleName(match[1]), "the reason is missing: -- lint: allow "+match[1]+": <reason>"
	default:
		m.allow = ruleName(match[1])
	}
	return m
}
