package migrations

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

func embedded() fs.FS {
	files, err := fs.Sub(sqlFiles, "sql")
	if err != nil {
		panic(err) // "sql" is a valid path: fs.Sub has no other error
	}
	return files
}

// file is one migration's source.
type file struct {
	version int64
	name    string
	text    string
}

var fileName = regexp.MustCompile(`^(\d{4,})_[a-z0-9_]+\.sql$`)

// list reads the migrations in order. goose passes over a file whose name it cannot read, and so would lose a
// migration in silence: here it is an error.
func list(files fs.FS) ([]file, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list the migrations: %w", err)
	}
	found := make([]file, 0, len(names))
	for _, name := range names {
		match := fileName.FindStringSubmatch(name)
		if match == nil {
			return nil, fmt.Errorf("%s: a migration is named NNNN_what_it_does.sql", name)
		}
		version, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil || version == 0 {
			return nil, fmt.Errorf("%s: the number is out of range", name)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		found = append(found, file{version: version, name: name, text: strings.ReplaceAll(string(text), "\r\n", "\n")})
	}
	slices.SortFunc(found, func(a, b file) int { return cmp.Compare(a.version, b.version) })
	for i := 1; i < len(found); i++ {
		if found[i].version == found[i-1].version {
			return nil, fmt.Errorf("%s and %s have the same number", found[i-1].name, found[i].name)
		}
	}
	return found, nil
}

func merge(known []file, applied map[int64]time.Time) []Migration {
	all := make([]Migration, 0, len(known))
	for _, f := range known {
		all = append(all, Migration{Version: f.version, Name: f.name, AppliedAt: applied[f.version]})
		delete(applied, f.version)
	}
	for version, at := range applied {
		all = append(all, Migration{Version: version, AppliedAt: at})
	}
	slices.SortFunc(all, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return all
}

var (
	noTransaction   = regexp.MustCompile(`(?im)^--\s*\+goose\s+NO\s+TRANSACTION\s*$`)
	sqlComment      = regexp.MustCompile(`--[^\n]*|(?s:/\*.*?\*/)`)
	concurrentIndex = regexp.MustCompile(`(?i)\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(\S+)`)
	blocksNobody    = regexp.MustCompile(`(?is)^(?:(?:CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY|DROP\s+INDEX\s+CONCURRENTLY|REINDEX\s.*\bCONCURRENTLY)\b|ALTER\s+TABLE\s+(?:ONLY\s+)?\S+\s+VALIDATE\s+CONSTRAINT\s+\S+$)`)
)

// usesTransaction says whether the migration is applied as a whole or not at all.
func (f file) usesTransaction() bool { return !noTransaction.MatchString(f.text) }

// concurrentIndexes are the names of the indexes that the file builds CONCURRENTLY. When such a statement is
// interrupted it leaves an invalid index behind, which IF NOT EXISTS would then take for a good one.
func (f file) concurrentIndexes() ([]string, error) {
	var names []string
	for _, match := range concurrentIndex.FindAllStringSubmatch(sqlComment.ReplaceAllString(f.text, ""), -1) {
		name := match[1]
		if strings.EqualFold(name, "ON") {
			return nil, fmt.Errorf("%s: an index that is built CONCURRENTLY needs a name, so that a half-built one can be found", f.name)
		}
		name = name[strings.LastIndex(name, ".")+1:]
		if unquoted := strings.Trim(name, `"`); unquoted != name {
			name = unquoted
		} else {
			name = strings.ToLower(name)
		}
		names = append(names, name)
	}
	return names, nil
}

// blocksNobody says that no statement of the file makes readers or writers wait while it waits for a lock itself, so
// that it may wait long. What it cannot tell, such as a function's body, it takes for a statement that blocks.
func (f file) blocksNobody() bool {
	up := f.text
	if end := strings.Index(up, "+goose Down"); end >= 0 {
		up = up[:end]
	}
	for statement := range strings.SplitSeq(sqlComment.ReplaceAllString(up, ""), ";") {
		statement = strings.TrimSpace(statement)
		if statement != "" && !blocksNobody.MatchString(statement) {
			return false
		}
	}
	return true
}
