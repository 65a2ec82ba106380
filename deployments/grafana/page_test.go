package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const root = "../../"

// page are the metrics that docs/metrics.md lists, with their type.
func page(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(root + "docs/metrics.md")
	require.NoError(t, err)
	listed := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\|").FindAllStringSubmatch(string(text), -1) {
		assert.NotContains(t, listed, m[1], "it stands there twice")
		listed[m[1]] = m[2]
	}
	require.NotEmpty(t, listed)
	return listed
}

// named finds in the sources what has the form of one of our metrics' names: a literal as it is, or the end of a name behind
// the beginnings that some files put before it.
func named(t *testing.T) []string {
	t.Helper()
	whole := regexp.MustCompile(`^(groundwork|http|db|redis_pool)_[a-z]+(_[a-z]+)*$`)
	var names []string
	for _, dir := range []string{"platform/metrics", "platform/sentry", "store/backend", "api/internal", "worker/internal", "scheduler/internal"} {
		require.NoError(t, filepath.WalkDir(root+dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			var buffer bytes.Buffer
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if s, err := strconv.Unquote(lit.Value); err == nil {
						buffer.WriteString(s + "\n")
					}
				}
				return true
			})
			all := buffer.String()
			if !strings.Contains(path, "/metrics") && !strings.Contains(all, "groundwork_") {
				return nil
			}
			prefix := ""
			for _, p := range []string{"groundwork_jobs_", "db_pool_"} {
				if strings.Contains(all, p+"\n") {
					prefix = p
				}
			}
			for word := range strings.Lines(all) {
				switch word = strings.TrimSpace(word); {
				case whole.MatchString(word):
					names = append(names, word)
				case prefix != "" && regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(word):
					names = append(names, prefix+word)
				}
			}
			return nil
		}))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestPage(t *testing.T) {
	t.Parallel()
	listed, found := page(t), named(t)
	for name := range listed {
		assert.Contains(t, found, name, "docs/metrics.md names a metric that no process has")
	}
	// Labels of the two files that put names together look like ends of names; nothing else does.
	noMetrics := []string{"groundwork_jobs_queue", "groundwork_jobs_state", "groundwork_jobs_part", "groundwork_jobs_outcome"}
	for _, name := range found {
		if strings.HasPrefix(name, "db_pool_") && listed[name] == "" {
			continue // what else platform/metrics says in one word
		}
		if !slices.Contains(noMetrics, name) {
			assert.Contains(t, listed, name, "docs/metrics.md lacks a metric")
		}
	}
}

// known says whether a name in a query is a metric: of the page, of one that Prometheus makes of it, or of somebody else's.
func known(listed map[string]string, recorded []string, name string) bool {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && listed[base] == "histogram" {
			return true
		}
	}
	kind := listed[name]
	return (kind != "" && kind != "histogram") || slices.Contains(recorded, name) ||
		slices.Contains([]string{"up", "go_goroutines", "process_cpu_seconds_total", "process_resident_memory_bytes", "loki_write_dropped_entries_total"}, name)
}

// metricsOf are the metrics that a query in PromQL names.
func metricsOf(t *testing.T, expr string) (names []string) {
	t.Helper()
	parsed, err := metricsql.Parse(strings.ReplaceAll(expr, "$__rate_interval", "1m"))
	require.NoError(t, err, expr)
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		if m, ok := e.(*metricsql.MetricExpr); ok {
			for _, filters := range m.LabelFilterss {
				for _, f := range filters {
					if f.Label == "__name__" {
						names = append(names, f.Value)
					}
				}
			}
		}
	})
	require.NotEmpty(t, names, expr)
	return names
}

func TestBoards(t *testing.T) {
	t.Parallel()
	listed := page(t)
	for _, b := range boards() {
		t.Run(b.uid, func(t *testing.T) {
			t.Parallel()
			want, err := b.document()
			require.NoError(t, err)
			kept, err := os.ReadFile("dashboards/" + b.uid + ".json")
			require.NoError(t, err)
			assert.Equal(t, string(want), string(kept), "write it anew: make dashboards")
			for _, r := range b.rows {
				for _, p := range r.panels {
					assert.NotEmpty(t, p.queries, p.title)
					for _, question := range p.queries {
						if question.logs {
							assert.Contains(t, question.expr, "{process=", "a stream is found by what is a label")
							continue
						}
						for _, name := range metricsOf(t, question.expr) {
							assert.True(t, known(listed, nil, name), "%s: %s asks for %s, which is not in docs/metrics.md", b.title, p.title, name)
						}
					}
				}
			}
		})
	}
}

// TestStreams holds that logs are asked for by labels that the collector gives them, on the boards and in the runbook.
func TestStreams(t *testing.T) {
	t.Parallel()
	collector, err := os.ReadFile(root + "deployments/alloy/config.alloy")
	require.NoError(t, err)
	given := map[string]bool{}
	for _, m := range regexp.MustCompile(`stage\.labels \{\n\s+values = \{(.+)\}`).FindAllStringSubmatch(string(collector), -1) {
		for _, name := range regexp.MustCompile(`(\w+) = ""`).FindAllStringSubmatch(m[1], -1) {
			given[name[1]] = true
		}
	}
	require.NotEmpty(t, given)
	asked := []string{}
	for _, b := range boards() {
		for _, f := range b.asks {
			asked = append(asked, f.example)
		}
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, question := range p.queries {
					if question.logs {
						asked = append(asked, question.expr)
					}
				}
			}
		}
	}
	runbook, err := os.ReadFile(root + "docs/runbook.md")
	require.NoError(t, err)
	asked = append(asked, string(runbook))
	selectors := 0
	for _, text := range asked {
		for _, m := range regexp.MustCompile(`\{(\w+)(=~|=|!=|!~)"[^"]*"\}`).FindAllStringSubmatch(text, -1) {
			selectors++
			assert.True(t, given[m[1]], "%s: config.alloy gives lines no label %s", m[0], m[1])
		}
	}
	assert.Greater(t, selectors, 12)
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "deployments/prometheus/alerts.yml")
	require.NoError(t, err)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Record, Alert, Expr string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &rules))
	runbook, err := os.ReadFile(root + "docs/runbook.md")
	require.NoError(t, err)
	document, err := os.ReadFile(root + "docs/metrics.md")
	require.NoError(t, err)
	tested, err := os.ReadFile(root + "deployments/prometheus/alerts_test.yml")
	require.NoError(t, err)
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(string(runbook), -1) {
		headings[strings.ReplaceAll(strings.ToLower(regexp.MustCompile(`[^\w -]`).ReplaceAllString(m[1], "")), " ", "-")] = true
	}
	listed, recorded, alerts := page(t), []string{}, 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			for _, name := range metricsOf(t, r.Expr) {
				assert.True(t, known(listed, recorded, name), "%s%s asks for %s", r.Record, r.Alert, name)
			}
			if r.Record != "" {
				recorded = append(recorded, r.Record)
				continue
			}
			alerts++
			assert.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
			assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
			_, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "/docs/runbook.md#")
			assert.True(t, headings[anchor], "%s: the runbook has no entry #%s", r.Alert, anchor)
			assert.Contains(t, string(runbook), "`"+r.Alert+"`", "the runbook's entry does not name the alert")
			assert.Contains(t, string(document), "| `"+r.Alert+"` | "+r.Labels["severity"]+" |", "docs/metrics.md lacks the alert")
			assert.Regexp(t, `alertname: `+r.Alert+`\n\s+exp_alerts:\n\s+- exp_labels`, string(tested), "no test has it fire")
		}
	}
	assert.Greater(t, alerts, 20)
}
