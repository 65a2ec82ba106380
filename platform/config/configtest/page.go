// Package configtest keeps the page that documents settings the same as the structs that declare them.
//
// The cmd packages' tests call it. The page has a section for what every process is told and one for each process,
// between comments that name it; all else on the page is written by hand. With UPDATE_DOCS=1 in the environment the
// sections are written anew instead of compared; then run one package at a time (go test -p 1).
package configtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/config"
)

// Page compares the sections "common" and process of the page with cfg, a pointer to the process's settings.
func Page(tb testing.TB, path, process string, cfg any) {
	tb.Helper()
	isCommon := map[string]bool{}
	shared := config.Describe(&config.Common{})
	for _, v := range shared {
		isCommon[v.Name] = true
	}
	var own []config.Variable
	for _, v := range config.Describe(cfg) {
		if !isCommon[v.Name] {
			own = append(own, v)
		}
	}
	content, err := os.ReadFile(filepath.Clean(path))
	require.NoError(tb, err)
	page := string(content)
	for _, section := range []struct {
		name      string
		variables []config.Variable
	}{{"common", shared}, {process, own}} {
		begin, end := "<!-- begin "+section.name+" -->\n", "<!-- end "+section.name+" -->"
		before, rest, found := strings.Cut(page, begin)
		require.True(tb, found, "%s has no line %q", path, begin)
		is, after, found := strings.Cut(rest, end)
		require.True(tb, found, "%s has no line %q", path, end)
		want := table(section.variables)
		if os.Getenv("UPDATE_DOCS") == "" {
			assert.Equal(tb, want, is, "write the section %q of %s anew with UPDATE_DOCS=1", section.name, path)
		}
		page = before + begin + want + end + after
	}
	if os.Getenv("UPDATE_DOCS") != "" && page != string(content) {
		require.NoError(tb, os.WriteFile(filepath.Clean(path), []byte(page), 0o644)) //nolint:gosec // a page for everybody
	}
}

func table(variables []config.Variable) string {
	var b strings.Builder
	b.WriteString("| Variable | Meaning | Value | Default |\n|---|---|---|---|\n")
	for _, v := range variables {
		names := make([]string, 0, 2)
		if v.Name != "" {
			names = append(names, "`"+v.Name+"`")
		}
		if v.Flag != "" {
			names = append(names, "`--"+v.Flag+"`")
		}
		if v.Secret {
			names = append(names, "or `"+v.Name+"_FILE`")
		}
		fallback := "none"
		switch {
		case v.Required:
			fallback = "**required**"
		case v.Default != "":
			fallback = "`" + v.Default + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.Join(names, " "), cell(v.Help), cell(v.Kind), fallback)
	}
	return b.String()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
