package transfers

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// header is the first row of a table: which column stands where.
type header struct {
	// what names the table in faults: `the file`, `the sheet "lines"`.
	what  string
	names []string
	at    map[string]int // by the name as it stands there
	like  map[string]int // by what is left of the name without case and punctuation
}

func newHeader(what string, cells []string) (*header, error) {
	h := &header{what: what, at: map[string]int{}, like: map[string]int{}}
	for i, cell := range cells {
		name := strings.TrimSpace(cell)
		h.names = append(h.names, name)
		if name == "" {
			continue
		}
		if first, twice := h.at[name]; twice {
			return nil, badFile("columns", fmt.Sprintf("The columns %d and %d of %s are both named %q; rename one of them.", first+1, i+1, what, shortened(name)))
		}
		h.at[name] = i
		if _, taken := h.like[folded(name)]; !taken {
			h.like[folded(name)] = i
		}
	}
	if len(h.at) == 0 {
		return nil, badFile("columns", "The first row of "+what+" names no columns; begin with a row of their names.")
	}
	return h, nil
}

// badFile is what is wrong with a file as a whole: nothing of it was taken.
func badFile(code, detail string) error { return fault.New(fault.Invalid, "import."+code, detail) }

// folded leaves letters and digits of a name, in lower case: "Customer ID" and "customer_id" are the same.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// find is where a column stands that a mapping names: by its very name, else by a like one.
func (h *header) find(column string) (int, error) {
	if i, ok := h.at[column]; ok {
		return i, nil
	}
	if i, ok := h.like[folded(column)]; ok {
		return i, nil
	}
	const most = 50
	names := make([]string, 0, most)
	for _, name := range h.names[:min(len(h.names), most)] {
		names = append(names, shortened(name))
	}
	return 0, badFile("columns", fmt.Sprintf("The mapping names the column %q, which %s does not have; its columns are: %s.",
		column, h.what, strings.Join(names, ", ")))
}

// bound is a target whose columns were found.
type bound struct {
	target

	at []int // the column of each source; -1 where it is a text of the mapping's
}

// bind finds the columns of targets.
func (h *header) bind(targets []target) ([]bound, error) {
	all := make([]bound, len(targets))
	for i, t := range targets {
		all[i] = bound{target: t, at: make([]int, len(t.sources))}
		for n, s := range t.sources {
			all[i].at[n] = -1
			if s.value != nil {
				continue
			}
			at, err := h.find(s.column)
			if err != nil {
				return nil, err
			}
			all[i].at[n] = at
		}
	}
	return all, nil
}

// guess makes targets of the columns that are named as fields are, or by an alias, and lists the columns that are not
// taken: those of no field, and of fields that may not be written.
func (h *header) guess(fields []resource.Field, history bool) (targets []bound, ignored []string) { //nolint:revive // may write history or may not
	taken := map[string]bool{}
	for i, name := range h.names {
		if name == "" {
			continue
		}
		f, key := fieldLike(fields, name)
		var known string
		if f != nil {
			known = f.Name + "." + key
		}
		if f == nil || f.ReadOnly || (f.Backfill && !history) || taken[known] {
			ignored = append(ignored, shortened(name))
			continue
		}
		taken[known] = true
		targets = append(targets, bound{
			target: target{field: f, key: key, sources: []source{{column: name}}}, at: []int{i},
		})
	}
	return targets, ignored
}

// fieldLike is the field that a column means: "E-Mail" is email, "custom.city" a key of custom.
func fieldLike(fields []resource.Field, column string) (f *resource.Field, key string) {
	if base, rest, dotted := strings.Cut(column, "."); dotted && rest != "" {
		for i := range fields {
			if fields[i].Kind == resource.Object && folded(fields[i].Name) == folded(base) {
				return &fields[i], rest
			}
		}
	}
	name := folded(column)
	for i := range fields {
		if folded(fields[i].Name) == name {
			return &fields[i], ""
		}
	}
	for i := range fields {
		if slices.ContainsFunc(fields[i].Aliases, func(alias string) bool { return folded(alias) == name }) {
			return &fields[i], ""
		}
	}
	return nil, ""
}

// shortened is a text that somebody sent, for a message.
func shortened(text string) string {
	const most = 80
	text = strings.ToValidUTF8(text, "\uFFFD")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
