// Package rest reads records from other programs' HTTP APIs that answer with JSON.
//
// It is a kind of connector. It pages in the five ways that APIs do, asks for what has changed where the API knows how,
// and believes no answer more than it must: pages that lead elsewhere, repeat themselves or are no JSON are told of in
// words for the connector's owner. It follows no redirect and sends the credential to no other host. How a URL is called,
// and which may be, is its Getter's.
package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/fault"
)

// MaxPage is how large an answer may be, in bytes.
const MaxPage = 8 << 20

// PageTimeout bounds a call, to the last byte of the answer.
const PageTimeout = 60 * time.Second

// Getter calls URLs.
type Getter interface {
	// Check gives the verdict on a URL and returns the form in which it is called. The error is a *RefusedError.
	Check(ctx context.Context, raw string) (string, error)
	// Get calls a URL. An answer is an Answer whatever its status; redirects are answers. The error is a *RefusedError where
	// the URL may not be called, and a *connectors.SourceError where no whole answer came.
	Get(ctx context.Context, raw string, header map[string][]string) (Answer, error)
}

// Answer is what a source answered.
type Answer struct {
	Status int
	Header map[string][]string
	// Body is whole.
	Body []byte
}

// RefusedError says why a URL is not called, in words for its owner.
type RefusedError struct{ Code, Detail string }

// Error is the detail.
func (r *RefusedError) Error() string { return "the URL " + r.Detail }

// Kind is the kind "rest".
type Kind struct {
	getter Getter
	now    func() time.Time
}

var _ connectors.Kind = (*Kind)(nil)

// New returns the kind.
func New(getter Getter, now func() time.Time) *Kind { return &Kind{getter: getter, now: now} }

// Name is "rest".
func (k *Kind) Name() string { return "rest" }

// Check gives the verdict on a URL.
func (k *Kind) Check(ctx context.Context, raw string) (string, error) {
	form, err := k.getter.Check(ctx, raw)
	var refused *RefusedError
	if errors.As(err, &refused) {
		return "", fault.Values(fault.Violation{Pointer: "/url", Code: refused.Code, Detail: refused.Detail})
	}
	return form, err
}

// Pull reads one page.
func (k *Kind) Pull(ctx context.Context, ask connectors.Ask) (connectors.Page, error) {
	s, wrong := read(ask.Settings)
	if len(wrong) > 0 {
		return connectors.Page{}, permanent("the setting " + strings.TrimPrefix(wrong[0].Pointer, "/settings/") + " " + wrong[0].Detail)
	}
	at, err := s.at(ask)
	if err != nil {
		return connectors.Page{}, err
	}
	isPartial := s.sinceParam != "" && !ask.Since.IsZero()
	if isPartial { // it is of everything that the validators tell
		ask.Validators = connectors.Validators{}
	}
	answer, err := k.getter.Get(ctx, at.String(), headerOf(ask))
	var refused *RefusedError
	if errors.As(err, &refused) {
		return connectors.Page{}, permanent("the URL " + refused.Detail)
	}
	if err != nil {
		return connectors.Page{}, err
	}
	page := connectors.Page{
		IsPartial: isPartial, At: dateOf(first(answer.Header, "Date")),
		Validators: connectors.Validators{ETag: first(answer.Header, "Etag"), LastModified: first(answer.Header, "Last-Modified")},
	}
	const ok, noContent, notModified = 200, 204, 304
	switch {
	case answer.Status == notModified && ask.Validators != (connectors.Validators{}):
		page.IsUnchanged = true
		return page, nil
	case answer.Status == noContent:
		return page, nil
	case answer.Status != ok:
		return connectors.Page{}, failureOf(answer, k.now())
	}
	sum := sha256.Sum256(answer.Body)
	page.Digest = hex.EncodeToString(sum[:16])
	return page, s.read(&page, answer, at, ask)
}

// at is the URL of a page.
func (s *settings) at(ask connectors.Ask) (*url.URL, error) {
	u, err := url.Parse(ask.URL)
	if err != nil {
		return nil, permanent("the URL cannot be read")
	}
	if s.paging == pagingLink && ask.Position != "" {
		next, err := url.Parse(ask.Position)
		if err != nil {
			return nil, permanent("the link to the next page cannot be read")
		}
		return next, nil
	}
	query := u.Query()
	set := func(name, value string) {
		if name != "" && value != "" {
			query.Set(name, value)
		}
	}
	switch {
	case s.paging == pagingPage && ask.Position == "":
		set(s.param, strconv.FormatInt(s.first, 10))
	case s.paging == pagingOffset && ask.Position == "":
		set(s.param, "0")
	case s.paging != pagingNone && s.paging != pagingLink:
		set(s.param, ask.Position)
	}
	set(s.sizeParam, strconv.FormatInt(s.size, 10))
	if !ask.Since.IsZero() {
		since := ask.Since.UTC().Format(time.RFC3339)
		if s.sinceFormat == "unix" {
			since = strconv.FormatInt(ask.Since.Unix(), 10)
		}
		set(s.sinceParam, since)
	}
	u.RawQuery = query.Encode()
	return u, nil
}

func headerOf(ask connectors.Ask) map[string][]string {
	header := map[string][]string{"Accept": {"application/json"}}
	if ask.AuthHeader != "" {
		header[ask.AuthHeader] = []string{ask.AuthValue}
	}
	if ask.Validators.ETag != "" {
		header["If-None-Match"] = []string{ask.Validators.ETag}
	} else if ask.Validators.LastModified != "" {
		header["If-Modified-Since"] = []string{ask.Validators.LastModified}
	}
	return header
}

// read takes the records out of an answer, and the position of the next page.
func (s *settings) read(page *connectors.Page, answer Answer, at *url.URL, ask connectors.Ask) error {
	if coding := first(answer.Header, "Content-Encoding"); coding != "" && coding != "identity" {
		return permanent("the source answers in the coding " + shortened(coding) + ", which was not asked for")
	}
	body, err := decode(answer.Body)
	if err != nil {
		return &connectors.SourceError{Reason: "the source answered 200 with something that is not JSON; check that the URL is the API's"}
	}
	value, found := connectors.Value(body, s.records)
	list, ok := value.([]any)
	if isNull := found && value == nil; !ok && !isNull { // as which some write a list of nothing
		return permanent(s.noList(body))
	}
	page.Records = list
	if more, ok := connectors.Value(body, s.more); s.more != "" && ok && more == false {
		return nil
	}
	page.Next, err = s.following(body, answer, at, ask, int64(len(list)))
	return err
}

func (s *settings) noList(body any) string {
	if s.records != "" {
		return "the answer has no list of records at " + s.records + "; check the setting records"
	}
	if _, ok := body.(map[string]any); ok {
		return "the answer is an object, not a list; say in the setting records where the list of records stands in it"
	}
	return "the answer is no list of records"
}

// decode reads exactly one JSON value, its numbers as they were sent.
func decode(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind it")
	}
	return value, nil
}

func permanent(reason string) error {
	return &connectors.SourceError{Reason: reason, IsPermanent: true}
}

func first(header map[string][]string, name string) string {
	if values := header[name]; len(values) > 0 {
		return strings.TrimSpace(values[0])
	}
	return ""
}

// shortened is a text of the source's, for a message.
func shortened(text string) string {
	const most = 80
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
