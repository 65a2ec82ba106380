package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/seal"
)

func call(args, environ []string) (code int, stdout, stderr string) {
	var out, complaints strings.Builder
	code = run(args, environ, &out, &complaints)
	return code, out.String(), complaints.String()
}

func TestMasterkey(t *testing.T) {
	t.Parallel()
	place := seal.AAD{Table: "t", Column: "c", Row: "r"}
	code, made, complaints := call([]string{"new"}, nil)
	require.Zero(t, code, complaints)
	old, err := seal.New(made)
	require.NoError(t, err)
	sealed, err := old.Seal([]byte("x"), place)
	require.NoError(t, err)

	t.Run("changes_the_present_key", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(path, []byte(made), 0o600))
		for act, resealing := range map[string]bool{"rotate": true, "stage": false, "promote": false} {
			for _, environ := range [][]string{{"MASTER_KEY=" + made}, {"MASTER_KEY_FILE=" + path}} {
				code, changed, complaints := call([]string{act}, environ)
				require.Zero(t, code, complaints)
				s, err := seal.New(changed)
				require.NoError(t, err)
				_, err = s.Open(sealed, place)
				require.NoError(t, err)
				assert.Equal(t, resealing, s.NeedsReseal(sealed), act)
			}
		}
	})
	t.Run("says_what_is_wrong", func(t *testing.T) {
		t.Parallel()
		code, out, complaints := call([]string{"rotate"}, nil)
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Contains(t, complaints, "MASTER_KEY: is required; set it, or MASTER_KEY_FILE to a file that holds it")

		code, out, complaints = call([]string{"rotate"}, []string{"MASTER_KEY=hunter2"})
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Contains(t, complaints, "this is no master key")
		assert.NotContains(t, complaints, "hunter2")

		for _, args := range [][]string{nil, {"create"}, {"new", "more"}} {
			code, out, complaints = call(args, nil)
			assert.Equal(t, 2, code, args)
			assert.Empty(t, out)
			assert.Equal(t, usage, complaints)
		}
		code, out, _ = call([]string{"--help"}, nil)
		assert.Zero(t, code)
		assert.Equal(t, usage, out)
	})
	t.Run("fails_where_the_key_cannot_be_written", func(t *testing.T) {
		t.Parallel()
		var complaints strings.Builder
		assert.Equal(t, 1, run([]string{"new"}, nil, full{}, &complaints))
		assert.Equal(t, "masterkey: disk full\n", complaints.String())
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }
