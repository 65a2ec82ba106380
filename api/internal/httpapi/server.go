// Package httpapi is the HTTP API: one table of routes, and what happens to each request around its handler.
//
// A handler binds, calls a domain service and chooses the answer; statuses of faults, credentials, limits, permissions,
// idempotency, headers and logs are the table's and the middleware's. The package never sees SQL, and knows of a
// tenant only what the credential says.
package httpapi

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"
	"github.com/ulule/limiter/v3"

	"github.com/groundwork-saas/groundwork/domain/accounts"
	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/idempotency"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/limits"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/sessions"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/metrics"
)

// Config is what the API is told.
type Config struct {
	// CORSOrigins are the origins of browsers' pages that may call, matched exactly; none by default.
	CORSOrigins []string
	// TrustedProxies are the CIDRs of the balancers whose X-Forwarded-For is believed; none by default.
	TrustedProxies []string
	// TenantRate, KeyRate and AddressRate limit requests: of a tenant, of one of its keys, and of an address that
	// shows no valid credential.
	TenantRate, KeyRate, AddressRate limits.Rate
	// RequestTimeout bounds the work on one request; 0 is 30 s.
	RequestTimeout time.Duration
	// TransferTimeout is how long an upload or a download may stand still; 0 is 60 s.
	TransferTimeout time.Duration
	// PublicURL is the origin at which callers reach the API, for links that they pass on.
	PublicURL string
}

// Dependencies are what the API stands on.
type Dependencies struct {
	Resources   []*resource.Service
	Audit       *audit.Service
	Jobs        *jobs.Service
	Inbound     Inbound
	Files       *files.Service
	Exports     *transfers.Exports
	Imports     *transfers.Imports
	Webhooks    *webhooks.Service
	Reports     Reports
	Connectors  *connectors.Service
	Identity    Identity
	Idempotency idempotency.Store
	Limiter     limits.Limiter
	Sealer      Sealer
	Log         *logrus.Logger
	Metrics     *metrics.HTTP
	Tenants     *metrics.Tenants
	// CountStatements returns a context in which statements to the database are counted, and the count so far.
	CountStatements func(context.Context) (context.Context, func() int64)
	Now             func() time.Time
}

// Inbound is what is sent to tenants: the sources of webhooks, and what they received.
type Inbound struct {
	Sources *inbound.Sources
	Events  *inbound.Events
}

// Identity is who asks: the services behind sign-in, members and keys.
type Identity struct {
	Credentials *sessions.Credentials
	Sessions    *sessions.Service
	Users       *users.Service
	Accounts    *accounts.Service
	Tenants     *tenants.Service
	Members     *members.Service
	Invitations *members.Invitations
	Keys        *apikeys.Service
	Roles       *members.Roles
	// KeySet is the JSON Web Key Set that access tokens are verified with.
	KeySet func() []byte
	// Account limits attempts on one e-mail address.
	Account *limiter.Limiter
}

// API serves the routes.
type API struct {
	config  Config
	deps    Dependencies
	cursors cursors
	routes  []Route
	allowed map[string]bool // CORS origins
}

// New returns the API.
func New(config Config, deps Dependencies) *API {
	if config.RequestTimeout <= 0 {
		config.RequestTimeout = 30 * time.Second
	}
	if config.TransferTimeout <= 0 {
		config.TransferTimeout = time.Minute
	}
	a := &API{config: config, deps: deps, cursors: cursors{sealer: deps.Sealer}, allowed: map[string]bool{}}
	for _, origin := range config.CORSOrigins {
		a.allowed[origin] = true
	}
	a.routes = a.table()
	return a
}

// Routes is the whole API as a table.
func (a *API) Routes() []Route { return slices.Clone(a.routes) }

// table puts the capabilities' routes together.
func (a *API) table() []Route {
	var routes []Route
	for _, s := range a.deps.Resources {
		routes = append(routes, resourceRoutes(s)...)
	}
	identity := a.deps.Identity
	routes = append(routes, authRoutes(identity)...)
	routes = append(routes, accountRoutes(identity)...)
	routes = append(routes, meRoutes(identity)...)
	routes = append(routes, tenantRoutes(identity)...)
	routes = append(routes, memberRoutes(identity.Members)...)
	routes = append(routes, invitationRoutes(identity.Invitations, a.deps.Now)...)
	routes = append(routes, apiKeyRoutes(identity.Keys)...)
	routes = append(routes, jobRoutes(a.deps.Jobs)...)
	routes = append(routes, webhookEndpointRoutes(a.deps.Webhooks)...)
	routes = append(routes, webhookDeliveryRoutes(a.deps.Webhooks)...)
	routes = append(routes, webhookSourceRoutes(a.deps.Inbound.Sources)...)
	routes = append(routes, inboundEventRoutes(a.deps.Inbound.Events)...)
	routes = append(routes, auditRoutes(a.deps.Audit)...)
	routes = append(routes, fileRoutes(a.deps.Files, a.config.PublicURL)...)
	routes = append(routes, usageRoutes(a.deps.Files)...)
	routes = append(routes, reportRoutes(a.deps.Reports.Service)...)
	routes = append(routes, reportScheduleRoutes(a.deps.Reports)...)
	routes = append(routes, exportRoutes(a.deps.Exports)...)
	routes = append(routes, importRoutes(a.deps.Imports)...)
	routes = append(routes, connectorRoutes(a.deps.Connectors)...)
	return routes
}

// Handler returns the API as a handler.
func (a *API) Handler() (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	engine.UseRawPath = false
	if err := engine.SetTrustedProxies(a.config.TrustedProxies); err != nil {
		return nil, err
	}
	engine.Use(a.observe, a.secureHeaders, a.cors)
	engine.NoRoute(func(c *gin.Context) {
		a.fail(c, fault.New(fault.NotFound, "no_such_route", "There is nothing at this path; the reference is at /docs."))
	})
	engine.NoMethod(func(c *gin.Context) {
		writeProblem(c.Writer, fault.New(fault.Malformed, "method_not_allowed",
			"This path does not take this method; Allow lists those that it takes."), requestID(c), http.StatusMethodNotAllowed)
	})
	engine.GET("/healthz", func(c *gin.Context) {
		c.Header("Cache-Control", "no-store")
		c.JSON(http.StatusOK, gin.H{"status": "up"})
	})
	engine.GET("/.well-known/jwks.json", func(c *gin.Context) {
		c.Header("Cache-Control", "public, max-age=300")
		c.Data(http.StatusOK, "application/jwk-set+json", a.deps.Identity.KeySet())
	})
	if err := a.mountDocument(engine); err != nil {
		return nil, err
	}
	for i := range a.routes {
		route := &a.routes[i]
		engine.Handle(route.Method, Base+route.Path, a.serve(route))
		if route.Binary {
			engine.HEAD(Base+route.Path, a.serve(route))
		}
	}
	return engine, nil
}

// serve takes a request through the guard, the idempotency and the handler, and writes what came of it.
func (a *API) serve(route *Route) gin.HandlerFunc {
	return func(g *gin.Context) {
		c := &Call{Route: route, gin: g, cursors: a.cursors, Scope: tenancy.Scope{RequestID: requestID(g), Trace: traceOf(g)}}
		var ctx context.Context
		var cancel context.CancelFunc
		if route.streams() {
			ctx, c.transfer, cancel = a.startTransfer(g)
		} else {
			ctx, cancel = context.WithTimeout(g.Request.Context(), a.config.RequestTimeout)
		}
		defer cancel()
		c.ctx = ctx
		err := a.handle(c)
		if err != nil && !c.isConsumed && a.isOutdated(c, err) {
			err = a.handle(c)
		}
		switch {
		case err == nil:
			c.write()
		case c.transfer != nil:
			a.refuse(c, a.timedOut(ctx, err))
		default:
			a.fail(g, a.timedOut(ctx, err))
		}
	}
}

func (a *API) handle(c *Call) error {
	if err := a.admit(c); err != nil {
		return err
	}
	if !c.Route.ReadsQuery {
		if name := onlyKnown(c.Query(), c.Route.Params...); name != "" {
			return unknownParameter(name, c.Route.Params)
		}
	}
	if c.Route.Patch { // read now, since nothing that it changes may be held while the client is waited for
		if _, err := c.readPatch(); err != nil {
			return err
		}
	}
	key := c.Header("Idempotency-Key")
	switch {
	case c.Route.streams():
		return a.handleStream(c, key)
	case key != "" && c.Route.Method == http.MethodPost && !c.Route.Alone:
		return a.once(c, key)
	}
	return c.Route.Handle(c)
}

// handleStream runs a handler whose body is not read before it runs.
func (a *API) handleStream(c *Call, key string) error {
	c.once = func(_ string, act func() error) (bool, error) { return false, act() }
	if key != "" && c.Route.Method == http.MethodPost {
		if err := checkKey(key); err != nil {
			return err
		}
		c.once = func(content string, act func() error) (bool, error) { return a.onceFor(c, key, content, act) }
	}
	return c.Route.Handle(c)
}

// timedOut tells a request that ran out of its time from one that failed.
func (a *API) timedOut(ctx context.Context, err error) error {
	if ctx.Err() != nil && fault.KindOf(err) == fault.Internal {
		f := fault.New(fault.Unavailable, "timeout", "The request took too long and was given up; try again, or ask for less.")
		f.RetryAfter = time.Second
		return f.Because(err)
	}
	return err
}

func (c *Call) write() {
	w := c.gin.Writer
	if c.answer.contents != nil {
		defer c.answer.contents.Close()
	}
	if c.transfer != nil {
		_ = c.transfer.control.SetWriteDeadline(c.transfer.now().Add(answerPatience))
	}
	h := w.Header()
	if h.Get("Cache-Control") == "" {
		cache := "private, no-cache"
		if c.Route.Secret || c.Route.Access == Public {
			cache = "no-store"
		}
		h.Set("Cache-Control", cache)
	}
	maps.Copy(h, c.answer.header)
	if c.answer.body != nil {
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(c.answer.body))) // longer bodies would go in chunks
	}
	w.WriteHeader(c.answer.status)
	switch {
	case c.answer.body != nil:
		_, _ = w.Write(c.answer.body) // the client may be gone; there is nobody to tell
	case c.answer.contents != nil:
		c.copyContents()
	default:
		w.WriteHeaderNow()
	}
}
