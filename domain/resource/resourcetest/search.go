package resourcetest

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// wordsOf are the words that a record is found by. The suite knows nothing of accents: Make has none in fields that are
// searched.
func wordsOf(d *resource.Definition, e resource.Entity) []string {
	var words []string
	for _, f := range d.SearchFields() {
		switch v := f.Value(e).(type) {
		case string:
			words = append(words, split(v)...)
		case []string:
			words = append(words, split(strings.Join(v, " "))...)
		}
	}
	return words
}

func split(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
}

// matches says whether the record has all words of the search, the last as the beginning of one.
func matches(d *resource.Definition, e resource.Entity, search string) bool {
	has, wanted := wordsOf(d, e), split(search)
	for i, word := range wanted {
		if !slices.ContainsFunc(has, func(h string) bool {
			return h == word || i == len(wanted)-1 && strings.HasPrefix(h, word)
		}) {
			return false
		}
	}
	return len(wanted) > 0
}

// searches are what the records are looked for with: words, beginnings of words, several, in other writing, none.
func (s *stand) searches(t *testing.T, records []resource.Entity) []string {
	t.Helper()
	list := []string{"no-such-word", "'", "& | ! :* <->", `\`}
	for i, e := range records {
		words := wordsOf(s.Definition, e)
		require.NotEmpty(t, words, "Make gives no record's searched fields a word")
		first, last := words[0], words[len(words)-1]
		switch i % 4 {
		case 0:
			list = append(list, first, strings.ToUpper(last))
		case 1:
			list = append(list, first[:1], last[:len(last)-1]+".")
		case 2:
			list = append(list, last+" & !"+first, strings.Join(words, " "))
		default:
			list = append(list, first+" "+last[:1], first[:1]+" "+last)
		}
	}
	return list
}

// testSearch looks for records by their words: ranked, in an order, in the views of the trash, with other filters.
func testSearch(t *testing.T, s *stand) {
	t.Helper()
	if !s.Definition.Searchable() {
		_, err := s.Definition.ParseQuery(map[string][]string{"q": {"x"}})
		require.ErrorContains(t, err, "query parameters are not valid")
		return
	}
	records := s.fill(t, s.a, made)
	s.fill(t, s.b, 6)
	for i := range 5 {
		s.delete(t, s.a, records[i*3].Head().ID)
		gone, err := s.service.Find(t.Context(), s.a, records[i*3].Head().ID, resource.TrashOnly)
		require.NoError(t, err)
		records[i*3] = gone
	}
	some := 0
	for _, search := range s.searches(t, records[:12]) {
		for view, sees := range views() {
			var want []resource.Entity
			for _, e := range records {
				if sees(e) && matches(s.Definition, e, search) {
					want = append(want, e)
				}
			}
			some += len(want)
			params := map[string]string{"q": search}
			if view != "" {
				params["trashed"] = view
			}
			about := "q=" + search + " trashed=" + view
			all := ids(s.list(t, s.a, params, page.Request{Limit: page.MaxLimit}).Items)
			assert.ElementsMatch(t, ids(want), all, about)
			if len(want) > 4 {
				assert.Equal(t, all, s.walk(t, params, 3), about)
				assert.Equal(t, all[:len(all)-lastPage(len(all), 3)], s.walkBack(t, params, 3), about)
			}
			params["sort"] = "-created_at"
			sorted := ids(s.list(t, s.a, params, page.Request{Limit: page.MaxLimit}).Items)
			assert.Equal(t, ids(s.ordered(t, want, "-created_at")), sorted, about)
			if len(want) > 0 {
				params["id"] = want[0].Head().ID.String() + "," + records[made-1].Head().ID.String()
				assert.Contains(t, ids(s.list(t, s.a, params, page.Request{}).Items), want[0].Head().ID.String(), about)
			}
		}
	}
	assert.Positive(t, some, "nothing was found at all")
}

// lastPage is how many records are on the last page of so many.
func lastPage(n, limit int) int { return (n-1)%limit + 1 }

// views are the views of the trash, and what each shows.
func views() map[string]func(resource.Entity) bool {
	return map[string]func(resource.Entity) bool{
		"":     func(e resource.Entity) bool { return e.Head().DeletedAt == nil },
		"with": func(resource.Entity) bool { return true },
		"only": func(e resource.Entity) bool { return e.Head().DeletedAt != nil },
	}
}
