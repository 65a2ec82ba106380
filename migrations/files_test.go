package migrations

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEmbedded_files_are_named_and_numbered_well(t *testing.T) {
	t.Parallel()
	known, err := list(embedded())
	require.NoError(t, err)
	require.NotEmpty(t, known)
	for i, f := range known {
		assert.Equal(t, int64(i+1), f.version, f.name)
		assert.Contains(t, f.text, "-- +goose Down", f.name)
		_, err := f.concurrentIndexes()
		require.NoError(t, err)
	}
	assert.Equal(t, known[len(known)-1].version, Latest())
}

func TestList_refuses(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]fstest.MapFS{
		"a name without a number":  {"customers.sql": {}},
		"a number without a name":  {"0001.sql": {}},
		"a short number":           {"1_customers.sql": {}},
		"upper case":               {"0001_Customers.sql": {}},
		"zero":                     {"0000_customers.sql": {}},
		"a number beyond an int64": {"99999999999999999999_customers.sql": {}},
		"the same number twice":    {"0001_customers.sql": {}, "00001_orders.sql": {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := list(files)
			require.Error(t, err)
			for file := range files {
				if len(files) == 1 {
					assert.ErrorContains(t, err, file)
				}
			}
		})
	}
}

func TestFile_finds_the_indexes_that_it_builds_concurrently(t *testing.T) {
	t.Parallel()
	f := file{name: "0002_step.sql", text: `-- +goose NO TRANSACTION
-- +goose Up
-- CREATE INDEX CONCURRENTLY in_a_comment ON t (a);
CREATE INDEX CONCURRENTLY Folded ON t (a);
create unique index
  concurrently if not exists app."Kept" on t (b);
CREATE INDEX not_concurrent ON t (c); /* CREATE INDEX CONCURRENTLY in_another
*/
-- +goose Down
DROP INDEX CONCURRENTLY folded;
`}
	names, err := f.concurrentIndexes()
	require.NoError(t, err)
	assert.Equal(t, []string{"folded", "Kept"}, names)

	_, err = file{name: "0003_step.sql", text: "CREATE INDEX CONCURRENTLY ON t (a);"}.concurrentIndexes()
	require.ErrorContains(t, err, "0003_step.sql")
}

func TestFile_blocks_nobody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY i ON t (a);\n-- +goose Down\nDROP INDEX CONCURRENTLY i;": true,
		"-- +goose NO TRANSACTION\n-- +goose Up\nALTER TABLE t VALIDATE CONSTRAINT c;\n":                                            true,
		"-- +goose NO TRANSACTION\n-- +goose Up\nREINDEX TABLE CONCURRENTLY t;\n":                                                   true,
		"-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY i ON t (a);\nALTER TABLE t ADD COLUMN b int;":            false,
		"-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX i ON t (a);":                                                          false,
		"-- +goose Up\nALTER TABLE t VALIDATE CONSTRAINT c;\n-- +goose Down\nALTER TABLE t ADD COLUMN b int;":                       true,
		"-- +goose Up\nALTER TABLE t VALIDATE CONSTRAINT c, ADD COLUMN b int;":                                                      false,
	} {
		assert.Equal(t, want, file{text: text}.blocksNobody(), text)
	}
}

func TestScramVerifier_is_that_of_the_standards_example(t *testing.T) {
	t.Parallel()
	salt := []byte("\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81") // RFC 7677 §3
	verifier, err := scramVerifierWith("pencil", salt, 4096)
	require.NoError(t, err)
	assert.Equal(t, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", verifier)

	one, err := scramVerifier("pencil")
	require.NoError(t, err)
	two, err := scramVerifier("pencil")
	require.NoError(t, err)
	assert.NotEqual(t, one, two, "the salt is the same")
}
