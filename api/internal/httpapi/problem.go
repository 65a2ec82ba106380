package httpapi

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// statusOf chooses the HTTP status of a fault, here and nowhere else.
//
//nolint:gochecknoglobals // a table
var statusOf = map[fault.Kind]int{
	fault.Internal:     http.StatusInternalServerError,
	fault.Malformed:    http.StatusBadRequest,
	fault.Invalid:      http.StatusUnprocessableEntity,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Conflict:     http.StatusConflict,
	fault.Stale:        http.StatusPreconditionFailed,
	fault.OutOfRange:   http.StatusRequestedRangeNotSatisfiable,
	fault.TooLarge:     http.StatusRequestEntityTooLarge,
	fault.Unsupported:  http.StatusUnsupportedMediaType,
	fault.Limited:      http.StatusTooManyRequests,
	fault.Unavailable:  http.StatusServiceUnavailable,
}

// problem is an error as RFC 9457 writes it.
type problem struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Code      string            `json:"code"`
	Detail    string            `json:"detail"`
	Errors    []fault.Violation `json:"errors,omitempty"`
	RequestID string            `json:"request_id"`
}

// problemOf says what of an error may be shown, which is nothing where it is no fault.
func problemOf(err error, requestID string) (problem, *fault.Error) {
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.Internal, "internal", "Something went wrong on our side. Quote the request_id when you report it.")
	}
	status := statusOf[f.Kind]
	return problem{
		Type: "/docs/errors#" + f.Code, Title: http.StatusText(status), Status: status, Code: f.Code, Detail: f.Detail,
		Errors: f.Violations, RequestID: requestID,
	}, f
}

// writeProblem answers with an error. A status other than 0 is one that no kind of fault has.
func writeProblem(w http.ResponseWriter, err error, requestID string, status int) {
	p, f := problemOf(err, requestID)
	if status != 0 {
		p.Status, p.Title = status, http.StatusText(status)
	}
	h := w.Header()
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(f.RetryAfter)))
	}
	if f.Location != "" {
		h.Set("Location", Base+strings.TrimPrefix(f.Location, Base)) // what was answered before has the base already
	}
	if f.Kind == fault.Unauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="api"`)
	}
	h.Del("ETag")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	body, marshalErr := json.Marshal(p)
	if marshalErr != nil {
		body = []byte(`{"status":500,"code":"internal"}`)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
}

// seconds rounds up: waiting a little longer is right, a little shorter is not.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
