package build_test

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/build"
)

func TestRead(t *testing.T) {
	t.Parallel()
	t.Run("knows_what_the_program_knows", func(t *testing.T) {
		t.Parallel()
		info := build.Read()
		assert.Equal(t, runtime.Version(), info.Go)
		assert.NotEmpty(t, info.Version)
		assert.NotEmpty(t, info.Revision)
	})
	t.Run("says_what_the_linker_was_told", func(t *testing.T) {
		t.Parallel()
		const at = "github.com/groundwork-saas/groundwork/platform/build"
		program := filepath.Join(t.TempDir(), "masterkey")
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program,
			"-ldflags", "-X "+at+".version=v1.2.3 -X "+at+".revision=4f2a", "../cmd/masterkey").CombinedOutput()
		require.NoError(t, err, string(out))
		out, err = exec.CommandContext(t.Context(), program, "version").CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Equal(t, "v1.2.3, commit 4f2a, "+runtime.Version()+"\n", string(out))
	})
}
