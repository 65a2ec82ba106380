// Package intake takes webhooks in over HTTP.
//
// It reads what is posted to /hooks/{token}, bounded and raw, hands it to the domain's receiver, and answers: 200 once
// the event is kept, whatever happens afterwards. It verifies nothing, keeps nothing and decides nothing but how a
// request is read and an answer written. The token is a secret: it is in no log, no metric and no error.
package intake

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/platform/metrics"
)

// Config is what the intake is told.
type Config struct {
	// MaxBody is how large a message may be, in bytes; 0 is 1 MiB. What is larger is refused, never cut.
	MaxBody int64
	// MaxConcurrent is how many messages are taken in at a time; 0 is 512. Beyond them senders are asked to wait.
	MaxConcurrent int
	// TrustedProxies are the balancers whose X-Forwarded-For is believed; none by default.
	TrustedProxies []netip.Prefix
	Receiver       *inbound.Receiver
	Log            *logrus.Logger
	// HTTP measures requests, Registry takes the intake's own measures.
	HTTP     *metrics.HTTP
	Registry prometheus.Registerer
	Now      func() time.Time
}

// Intake is an http.Handler.
type Intake struct {
	Config

	mux      *http.ServeMux
	slots    chan struct{}
	outcomes *prometheus.CounterVec
}

// route is what logs and metrics call it.
const route = "/hooks/:token"

// New returns the intake.
func New(config Config) *Intake {
	if config.MaxBody <= 0 {
		config.MaxBody = 1 << 20
	}
	if config.MaxConcurrent <= 0 {
		config.MaxConcurrent = 512
	}
	i := &Intake{
		Config: config, mux: http.NewServeMux(), slots: make(chan struct{}, config.MaxConcurrent),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "groundwork_intake_messages_total", Help: "Messages posted to the intake, by what became of them.",
		}, []string{"outcome"}),
	}
	config.Registry.MustRegister(i.outcomes)
	i.mux.HandleFunc("POST /hooks/{token}", i.observed(i.take))
	i.mux.HandleFunc("/hooks/{token}", i.observed(func(c *call) (inbound.Receipt, error) {
		c.w.Header().Set("Allow", http.MethodPost)
		c.status = http.StatusMethodNotAllowed
		return inbound.Receipt{}, fault.New(fault.Malformed, "method_not_allowed", "Webhooks are sent by POST.")
	}))
	i.mux.HandleFunc("/", i.observed(func(*call) (inbound.Receipt, error) {
		return inbound.Receipt{}, fault.New(fault.NotFound, "no_such_route", "There is nothing at this path; webhooks are posted to the address of their source.")
	}))
	return i
}

// ServeHTTP takes one request.
func (i *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.mux.ServeHTTP(w, r) }

// call is one request on its way.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	requestID string
	// status is the answer's where no kind of fault has it; 0 otherwise.
	status int
}

// take reads a message and has it received.
func (i *Intake) take(c *call) (inbound.Receipt, error) {
	select {
	case i.slots <- struct{}{}:
		defer func() { <-i.slots }()
	default:
		f := fault.New(fault.Unavailable, "intake.busy", "Too many messages arrive at once; send again shortly.")
		f.RetryAfter = time.Second
		return inbound.Receipt{}, f
	}
	body, err := i.read(c)
	if err != nil {
		return inbound.Receipt{}, err
	}
	return i.Receiver.Receive(c.r.Context(), inbound.Delivery{
		Token: c.r.PathValue("token"), Headers: providers.NewHeaders(c.r.Header), Body: body,
		Address: clientAddress(c.r, i.TrustedProxies), RequestID: c.requestID,
	})
}

// read returns the raw body. One that is compressed is refused: providers sign what they send uncompressed, and what
// is not compressed cannot swell.
func (i *Intake) read(c *call) ([]byte, error) {
	if encoding := c.r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, fault.New(fault.Unsupported, "intake.encoding", "The body is compressed; send it without a Content-Encoding.")
	}
	tooLarge := fault.New(fault.TooLarge, "body_too_large",
		"The message is larger than "+strconv.FormatInt(i.MaxBody, 10)+" bytes; INTAKE_MAX_BODY sets how large one may be.")
	if c.r.ContentLength > i.MaxBody {
		return nil, tooLarge
	}
	var body []byte
	reader := http.MaxBytesReader(c.w, c.r.Body, i.MaxBody)
	var err error
	if c.r.ContentLength > 0 {
		body = make([]byte, c.r.ContentLength)
		_, err = io.ReadFull(reader, body)
	} else {
		body, err = io.ReadAll(reader)
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.status = http.StatusRequestTimeout
		c.w.Header().Set("Connection", "close")
		return nil, fault.New(fault.Malformed, "intake.too_slow", "The message took too long to arrive; send it again.")
	case err != nil:
		return nil, fault.New(fault.Malformed, "body_unreadable", "The body ended before all of it was sent.").Because(err)
	}
	return body, nil
}

// observed names the request, answers what came of it and panics, and tells the log and the metrics: one line each.
func (i *Intake) observed(handle func(*call) (inbound.Receipt, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		started := i.Now()
		c := &call{w: w, r: r, requestID: tenancy.NewID().String()}
		i.HTTP.Enter()
		receipt, err := guarded(c, handle)
		status := i.answer(c, receipt, err)
		took := i.Now().Sub(started)
		i.HTTP.Leave(route, r.Method, status, took)
		outcome := string(receipt.Outcome)
		if err != nil {
			outcome = outcomeOf(err)
		}
		i.outcomes.WithLabelValues(outcome).Inc()
		fields := logrus.Fields{
			"request_id": c.requestID, "route": route, "status": status, "outcome": outcome,
			"duration_ms": float64(took.Microseconds()) / 1000, "bytes": max(r.ContentLength, 0),
		}
		switch {
		case status == http.StatusInternalServerError && r.Context().Err() == nil:
			i.Log.WithFields(fields).WithError(err).Error("webhook not taken in")
		case err != nil:
			i.Log.WithFields(fields).WithError(err).Info("webhook refused")
		default:
			i.Log.WithFields(fields).Info("webhook")
		}
	}
}

// guarded turns a panic into an error.
func guarded(c *call, handle func(*call) (inbound.Receipt, error)) (receipt inbound.Receipt, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			err = &panicError{value: recovered, stack: debug.Stack()}
		}
	}()
	return handle(c)
}

type panicError struct {
	value any
	stack []byte
}

// Error is for the log.
func (p *panicError) Error() string {
	text, _ := p.value.(string)
	if cause, ok := p.value.(error); ok {
		text = cause.Error()
	}
	return "panic: " + text + "\n" + string(p.stack)
}

// outcomeOf is an error as the metrics count it.
func outcomeOf(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Code
	}
	if errors.Is(err, context.Canceled) {
		return "gone"
	}
	return "internal"
}

// statusOf chooses the status of a fault.
func statusOf(kind fault.Kind) int {
	switch kind {
	case fault.Malformed, fault.Invalid, fault.Conflict, fault.Stale, fault.OutOfRange:
		return http.StatusBadRequest
	case fault.Unauthorized, fault.Forbidden:
		return http.StatusUnauthorized
	case fault.NotFound:
		return http.StatusNotFound
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Unsupported:
		return http.StatusUnsupportedMediaType
	case fault.Limited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// problem is an error as RFC 9457 writes it; docs/errors.md lists the codes.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
}

// answer writes the answer and returns its status.
func (i *Intake) answer(c *call, receipt inbound.Receipt, err error) int {
	h := c.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", c.requestID)
	if err == nil {
		contentType, body := "application/json", []byte(`{"received":true}`)
		if receipt.Reply != nil {
			contentType, body = receipt.Reply.ContentType, receipt.Reply.Body
		}
		return write(c.w, http.StatusOK, contentType, body)
	}
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.Internal, "internal", "Something went wrong on our side; send again later.")
	}
	status := statusOf(f.Kind)
	if c.status != 0 {
		status = c.status
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	body, err := json.Marshal(problem{
		Type: "/docs/errors#" + f.Code, Title: http.StatusText(status), Status: status, Code: f.Code, Detail: f.Detail,
		RequestID: c.requestID,
	})
	if err != nil {
		body = []byte(`{"status":500,"code":"internal"}`)
	}
	return write(c.w, status, "application/problem+json", body)
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) int {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the sender may be gone; there is nobody to tell
	return status
}

// clientAddress is the sender's address: the last one in X-Forwarded-For that no trusted proxy has, where a trusted
// proxy asks, else whoever asks.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	isTrusted := func(text string) bool {
		address, err := netip.ParseAddr(text)
		return err == nil && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(address.Unmap()) })
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(host); i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			break
		}
		host = hop
	}
	return host
}
