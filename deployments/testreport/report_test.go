package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReport reads what the go command says of real packages.
func TestReport(t *testing.T) {
	t.Parallel()
	const passing = "package p\n\nimport \"testing\"\n\nfunc TestFine(t *testing.T) { t.Run(\"a part\", func(t *testing.T) { t.Log(\"chatter\") }) }\n"
	for name, test := range map[string]struct {
		source         string
		failed         bool
		skips          int
		says, saysNone []string
	}{
		"passes": {
			source: passing,
			says:   []string{"ok  \texample.com/p", "1 packages: 2 tests passed, 0 failed, 0 skipped"}, saysNone: []string{"chatter"},
		},
		"shows what failed": {
			source: passing + "func TestBad(t *testing.T) { t.Error(\"the cause\") }\n",
			failed: true, says: []string{"the cause", "FAIL\texample.com/p", "FAILED  example.com/p TestBad"}, saysNone: []string{"chatter"},
		},
		"names what was skipped": {
			source: passing + "func TestLater(t *testing.T) { t.Skip(\"no server\") }\n",
			skips:  1, says: []string{"SKIPPED example.com/p TestLater: ", "no server", "2 tests passed, 0 failed, 1 skipped"},
		},
		"shows a panic": {
			source: passing + "func TestPanic(t *testing.T) { panic(\"the cause\") }\n",
			failed: true, says: []string{"panic: the cause"},
		},
		"shows an exit": {
			source: "package p\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { os.Stderr.WriteString(\"no database\\n\"); os.Exit(3) }\n",
			failed: true, says: []string{"no database", "FAILED  example.com/p"},
		},
		"shows what does not compile": {
			source: "package p\n\nfunc f() { undefinedThing() }\n",
			failed: true, says: []string{"undefined: undefinedThing"},
		},
		"fails where nothing was tested": {
			source: "package p\n", failed: true, says: []string{"no package was tested"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/p\n\ngo 1.26\n"), 0o600))
			file := "p_test.go"
			if name == "fails where nothing was tested" {
				file = "p.go"
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(test.source), 0o600))
			command := exec.CommandContext(t.Context(), "go", "test", "-json", "./...")
			command.Dir = dir
			command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
			events, _ := command.Output() // its exit code is what the report has to find out

			var out bytes.Buffer
			r := newReport(&out)
			require.NoError(t, r.read(bytes.NewReader(events)))
			r.summarise()
			assert.Equal(t, test.failed, r.failed(), out.String())
			assert.Len(t, r.skipped, test.skips, out.String())
			for _, part := range test.says {
				assert.Contains(t, out.String(), part)
			}
			for _, part := range test.saysNone {
				assert.NotContains(t, out.String(), part)
			}
		})
	}
}
