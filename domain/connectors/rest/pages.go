package rest

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/transfers"
)

// maxPosition is how long a cursor or the URL of a page may be.
const maxPosition = 2048

// following is the position of the page behind one that has n records; "" where there is none. By number and offset the
// last page is the one that is empty: one that is shorter than was asked for may be what the source gives at most.
func (s *settings) following(body any, answer Answer, at *url.URL, ask connectors.Ask, n int64) (string, error) {
	switch s.paging {
	case pagingPage:
		if n == 0 {
			return "", nil
		}
		number := s.first
		if ask.Position != "" {
			number, _ = strconv.ParseInt(ask.Position, 10, 64) // it was written here
		}
		return strconv.FormatInt(number+1, 10), nil
	case pagingOffset:
		if n == 0 {
			return "", nil
		}
		offset, _ := strconv.ParseInt("0"+ask.Position, 10, 64) // it was written here
		return strconv.FormatInt(offset+n, 10), nil
	case pagingCursor:
		value, _ := connectors.Value(body, s.next)
		switch value.(type) {
		case map[string]any, []any, bool:
			return "", permanent("what stands at " + s.next + " is no cursor; check the setting next")
		}
		cursor := transfers.TextOf(value)
		if len(cursor) > maxPosition {
			return "", permanent("the next cursor is longer than " + strconv.Itoa(maxPosition) + " bytes")
		}
		return cursor, nil
	case pagingLink:
		return s.link(body, answer, at, ask)
	default:
		return "", nil
	}
}

// link is the URL of the next page, absolute. It must be of the source's own host, since the credential goes along.
func (s *settings) link(body any, answer Answer, at *url.URL, ask connectors.Ask) (string, error) {
	text := nextOf(answer.Header["Link"])
	if s.next != "" {
		value, found := connectors.Value(body, s.next)
		if !found || value == nil || value == false {
			return "", nil
		}
		var isText bool
		if text, isText = value.(string); !isText {
			return "", permanent("what stands at " + s.next + " is no link; check the setting next")
		}
	}
	if text == "" {
		return "", nil
	}
	reference, err := url.Parse(text)
	if err != nil || len(text) > maxPosition {
		return "", permanent("the link to the next page cannot be read")
	}
	source, err := url.Parse(ask.URL)
	if err != nil {
		return "", permanent("the URL cannot be read")
	}
	next := at.ResolveReference(reference)
	next.Fragment = ""
	if next.Scheme != source.Scheme || !strings.EqualFold(next.Host, source.Host) || next.User != nil {
		return "", permanent("the link to the next page leads to another host, " + shortened(next.Scheme+"://"+next.Host) +
			", where the credential is not sent; give the connector the URL of that host")
	}
	return next.String(), nil
}

// nextOf is the target of the relation next in Link headers (RFC 8288); "" where there is none.
func nextOf(headers []string) string {
	for _, header := range headers {
		for header != "" {
			begin := strings.IndexByte(header, '<')
			if begin < 0 {
				break
			}
			end := strings.IndexByte(header[begin:], '>')
			if end < 0 {
				break
			}
			target := header[begin+1 : begin+end]
			parameters, rest := untilComma(header[begin+end+1:])
			if isNext(parameters) {
				return strings.TrimSpace(target)
			}
			header = rest
		}
	}
	return ""
}

// untilComma cuts behind the parameters of a link: at a comma that does not stand in quotes.
func untilComma(text string) (before, behind string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func isNext(parameters string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for relation := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(relation, "next") {
				return true
			}
		}
		return false // only the first rel counts
	}
	return false
}

// maxRetryAfter bounds how long a source is left alone because it says so.
const maxRetryAfter = 24 * time.Hour

// failureOf is what an answer without records means.
func failureOf(a Answer, now time.Time) error {
	e := &connectors.SourceError{Reason: "the source answered " + strconv.Itoa(a.Status)}
	wait := first(a.Header, "Retry-After")
	switch {
	case a.Status == 403 && wait != "": // as some say that it is too much
		e.RetryAfter = retryAfter(wait, now)
	case a.Status >= 300 && a.Status < 400:
		e.Reason += ", a redirect, which is not followed; give the connector its new URL"
		e.IsPermanent = true
	case a.Status == 401, a.Status == 403:
		e.Reason += ": it refuses the credential; check auth_header, and send another auth_value"
		e.IsPermanent = true
	case a.Status == 404, a.Status == 410:
		e.Reason += ": there is nothing at the URL"
		e.IsPermanent = true
	case a.Status == 408, a.Status == 425, a.Status == 429, a.Status >= 500:
		e.RetryAfter = retryAfter(wait, now)
	default:
		e.IsPermanent = true
	}
	return e
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3), in seconds or as a date, up to a day; 0 where it says nothing.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at := dateOf(text); !at.IsZero() {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// dateOf reads a date of a header (RFC 9110 §5.6.7); zero where it is none.
func dateOf(text string) time.Time {
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
