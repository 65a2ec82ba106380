package httpapi

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// listQuery is what a list is asked for: a page, and filters. The filters are read one after the other; err is about the
// first parameter that is wrong, and what is read then is of no use.
type listQuery struct {
	url.Values

	call   *Call
	name   string
	page   page.Request
	cursor string // sealed yet
	err    error
}

// list reads the page that is asked for of a list without filters.
func (c *Call) list(name string) *listQuery {
	q := &listQuery{Values: c.Query(), call: c, name: name}
	q.page, q.cursor, q.err = pageParams(q.Values)
	return q
}

// filteredList is list for a list with filters, which its cursors are bound to: all parameters but where the page begins
// and how long it is. The parameters themselves stay as they are, since links to other pages are made of them.
func (c *Call) filteredList(name string) *listQuery {
	filters := url.Values(maps.Clone(c.Query()))
	filters.Del("cursor")
	filters.Del("limit")
	return c.list(name + "?" + filters.Encode())
}

// answerList answers with the page that the query asks for.
func answerList[T, V any](q *listQuery, list func(page.Request) (page.Page[T], error), view func(T) V) error {
	if q.err != nil {
		return q.err
	}
	if err := q.call.cursors.open(q.call.Scope, q.name, q.cursor, &q.page); err != nil {
		return err
	}
	p, err := list(q.page)
	if err != nil {
		return err
	}
	return answerPage(q.call, q.name, p, view)
}

// fail keeps what is wrong with a parameter, where nothing was wrong with those before.
func (q *listQuery) fail(err error) {
	if q.err == nil {
		q.err = err
	}
}

func (q *listQuery) refuse(name, code, detail string) { q.fail(badParameter(name, code, detail)) }

// text is a parameter that the database can compare.
func (q *listQuery) text(name string) string {
	value := q.Get(name)
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		q.refuse(name, "encoding", "must be UTF-8 without NUL characters")
	}
	return value
}

// id is a parameter that is an id; zero where it is left out.
func (q *listQuery) id(name string) (id tenancy.ID) {
	if q.Has(name) {
		var err error
		if id, err = tenancy.ParseID(q.Get(name)); err != nil {
			q.refuse(name, "uuid", "is not a UUID")
		}
	}
	return id
}

// time is a parameter that is a time; zero where it is left out.
func (q *listQuery) time(name string) time.Time {
	if !q.Has(name) {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, q.Get(name))
	if err != nil {
		q.refuse(name, "time", "is not an RFC 3339 time; write it as 2006-01-02T15:04:05Z")
	}
	return t.UTC()
}

// day is a parameter that is a day; zero where it is left out.
func (q *listQuery) day(name string) (day reports.Day) {
	if q.Has(name) {
		var err error
		if day, err = reports.ParseDay(q.Get(name)); err != nil {
			q.refuse(name, "day", err.Error())
		}
	}
	return day
}

// statesOf reads states of a list, separated by commas, of those that there are.
func statesOf[S ~string](q *listQuery, all []S) (states []S) {
	if !q.Has("state") {
		return nil
	}
	for name := range strings.SplitSeq(strings.Join(q.Values["state"], ","), ",") {
		if !slices.Contains(all, S(name)) {
			q.refuse("state", "oneof", "has a value that is no state; the states are: "+strings.Join(textsOf(all), ", "))
		}
		if !slices.Contains(states, S(name)) {
			states = append(states, S(name))
		}
	}
	return states
}

// textsOf are values as plain texts.
func textsOf[S ~string](values []S) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = string(value)
	}
	return texts
}

// pageParameters are those that every list takes.
func pageParameters(others ...string) []string { return append([]string{"limit", "cursor"}, others...) }

// pageParams reads limit and cursor.
func pageParams(params url.Values) (page.Request, string, error) {
	request := page.Request{Limit: page.DefaultLimit}
	if params.Has("limit") {
		n, err := strconv.Atoi(params.Get("limit"))
		if err != nil || n < 1 || n > page.MaxLimit {
			return page.Request{}, "", badParameter("limit", "limit", "must be a whole number from 1 to "+strconv.Itoa(page.MaxLimit))
		}
		request.Limit = n
	}
	return request, params.Get("cursor"), nil
}
