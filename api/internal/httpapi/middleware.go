package httpapi

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// What travels in gin's context.
const (
	requestIDKey = "request_id"
	traceKey     = "trace"
	tenantKey    = "tenant"
	userKey      = "user"
	apiKeyKey    = "api_key_id"
	errorKey     = "error"
)

func requestID(g *gin.Context) string { return g.GetString(requestIDKey) }

// traceOf is the trace that the request is part of.
func traceOf(g *gin.Context) tenancy.Trace {
	trace, _ := g.Value(traceKey).(tenancy.Trace)
	return trace
}

// observe names the request, answers panics, and tells the log and the metrics of it when it is done: one line each.
func (a *API) observe(g *gin.Context) {
	started := a.deps.Now()
	id := g.GetHeader("X-Request-Id")
	if !isRequestID(id) {
		id = tenancy.NewID().String()
	}
	g.Set(requestIDKey, id)
	trace := tenancy.ParseTrace(g.GetHeader("Traceparent"))
	g.Set(traceKey, trace)
	g.Writer.Header().Set("X-Request-Id", id)
	ctx, statements := a.deps.CountStatements(g.Request.Context())
	g.Request = g.Request.WithContext(ctx)
	a.deps.Metrics.Enter()
	defer func() {
		if recovered := recover(); recovered != nil {
			if recovered == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				panic(recovered)
			}
			a.fail(g, fmt.Errorf("panic: %v\n%s", recovered, debug.Stack()))
		}
		took := a.deps.Now().Sub(started)
		route := g.FullPath()
		status := g.Writer.Status()
		sent := statements()
		a.deps.Metrics.Leave(route, g.Request.Method, status, took)
		a.deps.Metrics.Statements(route, g.Request.Method, sent)
		fields := logrus.Fields{
			"request_id": id, "method": g.Request.Method, "route": route, "status": status,
			"duration_ms": float64(took.Microseconds()) / 1000, "statements": sent, "bytes": max(g.Writer.Size(), 0),
		}
		if trace != "" {
			fields["trace_id"] = trace.ID()
		}
		if tenant := g.GetString(tenantKey); tenant != "" {
			a.deps.Tenants.Count(tenant)
		}
		for _, who := range []string{tenantKey, userKey, apiKeyKey} {
			if id := g.GetString(who); id != "" {
				fields[who] = id
			}
		}
		if failure, ok := g.Value(errorKey).(error); ok {
			fields["error"] = failure.Error()
		}
		entry := a.deps.Log.WithFields(fields)
		if status >= http.StatusInternalServerError {
			entry.Error("request failed")
			return
		}
		entry.Info("request")
	}()
	g.Next()
}

// fail answers with a problem. What is no fault is shown as a 500 that says nothing, and logged in full.
func (a *API) fail(g *gin.Context, err error) {
	g.Set(errorKey, err)
	if g.Writer.Written() {
		return
	}
	writeProblem(g.Writer, err, requestID(g), 0)
	g.Abort()
}

// isRequestID bounds what a caller may call its request: it goes into logs and the audit.
func isRequestID(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("-_.:/+=", r)
	})
}

// secureHeaders are those that every answer has (OWASP ASVS 5.0, V3.4). The API answers data, never pages: nothing may
// be loaded, framed or guessed from it.
func (a *API) secureHeaders(g *gin.Context) {
	h := g.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("Cross-Origin-Resource-Policy", "same-site")
	g.Next()
}

// cors answers browsers of the origins that are listed, exactly; others get no header and so no access.
func (a *API) cors(g *gin.Context) {
	origin := g.GetHeader("Origin")
	if origin == "" {
		g.Next()
		return
	}
	h := g.Writer.Header()
	h.Add("Vary", "Origin")
	preflight := g.Request.Method == http.MethodOptions && g.GetHeader("Access-Control-Request-Method") != ""
	if a.allowed[origin] {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers",
			"ETag, Link, Location, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy, Idempotency-Replayed, "+
				"Content-Disposition, Content-Range, Accept-Ranges")
		if preflight {
			h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, PUT, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-Id, Traceparent, Range, If-Range")
			h.Set("Access-Control-Max-Age", "600")
		}
	}
	if preflight {
		g.AbortWithStatus(http.StatusNoContent)
		return
	}
	g.Next()
}
