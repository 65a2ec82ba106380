package resource

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of a search: whoever looks for something writes a few words.
const (
	// MaxSearch is how many characters a search may have; the API's document says it too.
	MaxSearch      = 500
	maxSearchWords = 20
)

// Ranked is a record that a search found.
type Ranked struct {
	Entity
	// Rank is how well it matches, more being better; nil where so many records match that they are not ranked.
	Rank *float32
}

// Searchable says whether lists have the parameter q: whether any field is searched.
func (d *Definition) Searchable() bool { return len(d.SearchFields()) > 0 }

// SearchFields are the fields that are searched, those first in which a match weighs more: as the struct declares them.
func (d *Definition) SearchFields() []*Field {
	var fields []*Field
	for i := range d.Fields {
		if d.Fields[i].Search {
			fields = append(fields, &d.Fields[i])
		}
	}
	return fields
}

// parseSearch reads q: words that must all be in a record, the last one as the beginning of a word. Whatever is between
// the words separates them and means nothing.
func (d *Definition) parseSearch(value string) (search, code, problem string) {
	if !d.Searchable() {
		return "", "unknown_parameter", "is not known here: no field of " + d.Plural + " is searched"
	}
	isLong := utf8.RuneCountInString(value) > MaxSearch
	if problem := checkText(value); problem != "" && !isLong {
		return "", "value", problem
	}
	words := strings.FieldsFunc(value, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.N, unicode.M) })
	switch {
	case isLong:
		return "", "value", fmt.Sprintf("is too long; at most %d characters", MaxSearch)
	case len(words) > maxSearchWords:
		return "", "too_many", fmt.Sprintf("has too many words; at most %d", maxSearchWords)
	case strings.TrimSpace(value) == "":
		return "", "value", "says nothing to look for; leave it out for all records"
	}
	return strings.TrimSpace(value), "", ""
}

// RankedPosition returns where a page of a list by rank ends that ends with this record: its rank, and its position
// among equals.
func (q *Query) RankedPosition(r Ranked) []any {
	var rank any
	if r.Rank != nil {
		rank = strconv.FormatFloat(float64(*r.Rank), 'g', -1, 32)
	}
	return append([]any{rank}, q.Position(r.Entity)...)
}

func (q *Query) parseRankedPosition(texts []any) ([]any, error) {
	if len(texts) == 0 {
		return nil, errors.New("a position by rank has a rank")
	}
	var rank any
	if texts[0] != nil {
		text, ok := texts[0].(string)
		if !ok {
			return nil, errors.New("the rank is not text")
		}
		r, err := strconv.ParseFloat(text, 32)
		if err != nil || math.IsNaN(r) || math.IsInf(r, 0) {
			return nil, errors.New("the rank is no number")
		}
		rank = float32(r)
	}
	values, err := q.parsePosition(texts[1:])
	if err != nil {
		return nil, err
	}
	return append([]any{rank}, values...), nil
}
