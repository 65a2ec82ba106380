package transfers

import (
	"errors"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// ImportState is how far an import has come.
type ImportState struct {
	// Step counts the transactions so far.
	Step int64 `json:"-"`
	// Row is the last row of the file that is done with, and Orphans how many rows that belong to none were told of.
	Row     int64 `json:"row"`
	Orphans int64 `json:"orphans,omitempty"`
	// Done says that there is nothing more to read; Incomplete that the file could not be read to its end.
	Done       bool `json:"done,omitempty"`
	Incomplete bool `json:"incomplete,omitempty"`

	ImportCounts
}

// ImportCounts are what came of rows.
type ImportCounts struct {
	Rows    int64 `json:"rows"`
	Created int64 `json:"created"`
	Updated int64 `json:"updated"`
	// Unchanged rows were so already.
	Unchanged int64 `json:"unchanged"`
	Failed    int64 `json:"failed"`
}

// FailedRow is a row that was refused.
type FailedRow struct {
	Row int64 `json:"row"`
	// Cells are those of the row, as they stand in the file; none where the row belongs to another.
	Cells    []string        `json:"cells,omitempty"`
	Failures []ImportFailure `json:"failures"`
}

// ImportFailure is one thing that is wrong with a row.
type ImportFailure struct {
	// Row is what a spreadsheet shows beside it: the row of the columns' names is 1.
	Row int64 `json:"row"`
	// Part is "" for the file itself, and the list's name for rows that belong to another: "lines".
	Part   string `json:"part,omitempty"`
	Column string `json:"column,omitempty"`
	Value  string `json:"value,omitempty"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// ImportResult is what the job of an import answers.
type ImportResult struct {
	ImportCounts

	DryRun bool `json:"dry_run"`
	// Refused says that nothing was kept: the import is atomic, and rows are bad.
	Refused    bool `json:"refused"`
	Incomplete bool `json:"incomplete"`
	// IgnoredColumns are those whose names are no fields'.
	IgnoredColumns []string `json:"ignored_columns"`
	// Errors are the first of what is wrong; the file has all.
	Errors       []ImportFailure `json:"errors"`
	ErrorsFileID *tenancy.ID     `json:"errors_file_id"`
}

// ErrImportMoved says that another attempt has gone on with the import.
var ErrImportMoved = errors.New("transfers: another attempt has gone on with this import")

// ErrImportExpired is the answer where it is not known any more how far an import has come.
func ErrImportExpired() error {
	return fault.New(fault.NotFound, "import.expired", "How far this import has come is not known any more; start it again.")
}
