package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// version is a version as Semantic Versioning has it, with what comes behind a hyphen.
type version struct {
	numbers [3]int
	pre     string
}

// parseVersion reads 1.2.0, v1.2.0 and v1.2.0-rc.1.
func parseVersion(text string) (version, error) {
	m := regexp.MustCompile(`^v?(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*)?$`).FindStringSubmatch(text)
	if m == nil {
		return version{}, fmt.Errorf("%q is no version; say VERSION=1.2.0 (or 1.2.0-rc.1)", text)
	}
	v := version{pre: strings.TrimPrefix(m[4], "-")}
	for i := range v.numbers {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return version{}, fmt.Errorf("read the version: %w", err)
		}
		v.numbers[i] = n
	}
	return v, nil
}

// String is the version's tag.
func (v version) String() string {
	text := fmt.Sprintf("v%d.%d.%d", v.numbers[0], v.numbers[1], v.numbers[2])
	if v.pre != "" {
		text += "-" + v.pre
	}
	return text
}

// isAfter says whether v is newer than o; a candidate is older than its version (semver.org, 11).
func (v version) isAfter(o version) bool {
	for i := range v.numbers {
		if v.numbers[i] != o.numbers[i] {
			return v.numbers[i] > o.numbers[i]
		}
	}
	switch {
	case v.pre == o.pre:
		return false
	case v.pre == "" || o.pre == "":
		return v.pre == ""
	}
	return isLater(strings.Split(v.pre, "."), strings.Split(o.pre, "."))
}

// isLater compares what comes behind the hyphen, part by part: numbers as such and before words; of two that agree as far
// as they go the longer one is later.
func isLater(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		m, errA := strconv.Atoi(a[i])
		n, errB := strconv.Atoi(b[i])
		switch {
		case errA == nil && errB == nil:
			return m > n
		case errA == nil || errB == nil:
			return errB == nil
		}
		return a[i] > b[i]
	}
	return len(a) > len(b)
}

const unreleased = "## [Unreleased]"

var errNothing = errors.New("CHANGELOG.md has nothing under " + unreleased + ": say there what users of the product will notice")

// cut makes the version's section of what is under Unreleased, which is empty then, and returns the whole changelog and what
// the section says.
func cut(changelog string, v version, day time.Time) (changed, notes string, err error) {
	head, rest, found := strings.Cut(changelog, unreleased+"\n")
	if !found || head != "" && !strings.HasSuffix(head, "\n") {
		return "", "", fmt.Errorf("CHANGELOG.md has no line %q", unreleased)
	}
	name := strings.TrimPrefix(v.String(), "v")
	if strings.Contains(changelog, "\n## ["+name+"]") {
		return "", "", fmt.Errorf("CHANGELOG.md has a section %s already", name)
	}
	body, older := rest, ""
	if at := strings.Index("\n"+rest, "\n## "); at >= 0 {
		body, older = rest[:at], rest[at:]
	}
	body = strings.TrimSpace(body)
	says := false
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		says = says || line != "" && !strings.HasPrefix(line, "#")
	}
	if !says {
		return "", "", errNothing
	}
	changed = head + unreleased + "\n\n## [" + name + "] - " + day.UTC().Format(time.DateOnly) + "\n\n" + body + "\n"
	if older != "" {
		changed += "\n" + older
	}
	return changed, body + "\n", nil
}
