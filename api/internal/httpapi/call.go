package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/groundwork-saas/groundwork/api/internal/body"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Call is one request on its way through a handler: who asks, and how to read and answer.
type Call struct {
	// Scope is zero on public routes.
	Scope tenancy.Scope
	Route *Route

	gin     *gin.Context
	cursors cursors
	ctx     context.Context //nolint:containedctx // a call is the request's own, and lives as long
	// answer is what the handler chose; it is written when the handler, and its transaction, are done.
	answer answer
	body   []byte
	query  url.Values
	token  string // the credential that was shown

	transfer   *transfer // of a route that streams
	isConsumed bool      // the body was read, as far as it was, and cannot be read again
	// once runs the part of a streaming handler that must happen once; see API.onceFor.
	once func(content string, act func() error) (replayed bool, err error)
}

type answer struct {
	status int
	header http.Header
	body   []byte
	// contents are copied where they are given, as many bytes as length says.
	contents io.ReadCloser
	length   int64
}

// Context is the request's, with its deadline.
func (c *Call) Context() context.Context { return c.ctx }

// RequestID names the request in logs, audit and errors.
func (c *Call) RequestID() string { return c.Scope.RequestID }

// ID returns a path parameter that is an id.
func (c *Call) ID(name string) (tenancy.ID, error) {
	id, err := tenancy.ParseID(c.gin.Param(name))
	if err != nil {
		return tenancy.ID{}, &fault.Error{
			Kind: fault.Malformed, Code: "invalid_id", Detail: "The id in the path is not a UUID.",
			Violations: []fault.Violation{{Pointer: name, Code: "uuid", Detail: "is not a UUID of 36 characters"}},
		}
	}
	return id, nil
}

// target is the record that the path names, and the version of it that If-Match does.
func (c *Call) target() (tenancy.ID, resource.Match, error) {
	id, err := c.ID("id")
	if err != nil {
		return tenancy.ID{}, 0, err
	}
	match, err := c.Match()
	return id, match, err
}

// Header returns a request header.
func (c *Call) Header(name string) string { return c.gin.GetHeader(name) }

// Query returns the parameters of the URL, which callers share and do not change.
func (c *Call) Query() map[string][]string {
	if c.query == nil {
		c.query = c.gin.Request.URL.Query()
	}
	return c.query
}

// ClientAddress is the caller's address as far as the trusted proxies tell it.
func (c *Call) ClientAddress() string { return c.gin.ClientIP() }

// UserAgent is what the caller says it is, bounded.
func (c *Call) UserAgent() string {
	agent := strings.ToValidUTF8(strings.ReplaceAll(c.gin.GetHeader("User-Agent"), "\x00", ""), "")
	return agent[:min(len(agent), 200)]
}

// Decode reads the JSON body into the struct that dst points to, strictly.
func (c *Call) Decode(dst any) error {
	data, err := c.readBody("application/json")
	if err != nil {
		return err
	}
	return body.Decode(data, dst)
}

// Merge applies the JSON merge patch in the body to what dst points to.
func (c *Call) Merge(dst any) error {
	data, err := c.readPatch()
	if err != nil {
		return err
	}
	return body.Merge(data, dst)
}

func (c *Call) readPatch() ([]byte, error) {
	return c.readBody("application/merge-patch+json", "application/json")
}

func (c *Call) readBody(accepted ...string) ([]byte, error) {
	sent := c.gin.GetHeader("Content-Type")
	mediaType, params, err := mime.ParseMediaType(sent)
	charset := strings.ToLower(params["charset"])
	if err != nil || !slices.Contains(accepted, mediaType) || (charset != "" && charset != "utf-8") {
		return nil, fault.New(fault.Unsupported, "unsupported_media_type",
			fmt.Sprintf("The Content-Type is not taken here; send %s in UTF-8.", strings.Join(accepted, " or ")))
	}
	return c.rawBody()
}

// rawBody reads the body once; the idempotency guard and the handler both see it.
func (c *Call) rawBody() ([]byte, error) {
	if c.body != nil {
		return c.body, nil
	}
	limit := c.Route.maxBody()
	if c.gin.Request.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.gin.Writer, c.gin.Request.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge(limit)
	case err != nil:
		return nil, unreadableBody(err)
	}
	c.body = data
	return data, nil
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "body_too_large", fmt.Sprintf("The body is larger than %d bytes.", limit))
}

func (r Route) maxBody() int64 {
	if r.MaxBody > 0 {
		return r.MaxBody
	}
	return DefaultMaxBody
}

// Match reads If-Match: the version that the caller believes to be changing, 0 where it does not say.
func (c *Call) Match() (resource.Match, error) {
	value := strings.TrimSpace(c.gin.GetHeader("If-Match"))
	if value == "" || value == "*" {
		return 0, nil
	}
	quoted, ok := strings.CutPrefix(value, `"`)
	quoted, closed := strings.CutSuffix(quoted, `"`)
	version, err := strconv.ParseInt(quoted, 10, 64)
	if !ok || !closed || err != nil || version < 1 {
		return 0, fault.New(fault.Stale, "version_mismatch",
			"If-Match is not an ETag of this resource; send the ETag that you were given, or leave the header out.")
	}
	return resource.Match(version), nil
}

// Answer chooses the status and the JSON body. The body is rendered at once, so that a later write cannot change it.
func (c *Call) Answer(status int, value any) error {
	buffer := new(bytes.Buffer)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("render the answer: %w", err)
	}
	c.answer.status, c.answer.body = status, buffer.Bytes()
	return nil
}

// NoContent answers 204.
func (c *Call) NoContent() error {
	c.answer.status = http.StatusNoContent
	return nil
}

// SetHeader sets a header of the answer.
func (c *Call) SetHeader(name, value string) {
	if c.answer.header == nil {
		c.answer.header = http.Header{}
	}
	c.answer.header.Set(name, value)
}

// SetETag sets the ETag of a record's version.
func (c *Call) SetETag(version int64) { c.SetHeader("ETag", etag(version)) }

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// NotModified answers 304 and is true where If-None-Match names this version.
func (c *Call) NotModified(version int64) bool {
	if !namesTag(c.Header("If-None-Match"), etag(version)) {
		return false
	}
	c.answer.status, c.answer.body = http.StatusNotModified, nil
	return true
}
