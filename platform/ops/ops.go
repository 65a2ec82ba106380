// Package ops is the server on a process's ops port, for those who run it: liveness, readiness, metrics and profiles.
//
// Every process has one, started first and stopped last, so that it answers while the rest comes up and goes down. The
// port is never public: what it says is for operators. It checks what it is told to and decides nothing but ready or
// not.
//
//	GET /livez         200 while the process runs
//	GET /readyz        200 where every check passes, else 503; JSON that names what failed
//	GET /servez        200 until the process is told to stop, then 503: whether a balancer should send requests here
//	GET /metrics       Prometheus
//	GET /debug/pprof/  profiles of the Go runtime
package ops

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof" // what it adds to http.DefaultServeMux is served nowhere
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/platform/metrics"
)

// Config says what the ops server shows.
type Config struct {
	// Addr is where it listens, "host:port"; port 0 chooses a free one.
	Addr string
	// Registry is what /metrics shows.
	Registry *prometheus.Registry
	// Checks decide about readiness, all of them at once.
	Checks []Check
	// Log takes the server's own complaints and every change of readiness.
	Log *logrus.Logger
}

// Server is the ops server of a process.
type Server struct {
	lifecycle.Component

	mux      *http.ServeMux
	log      *logrus.Logger
	checks   []*runner
	draining atomic.Bool
	ready    atomic.Bool // as of the last answer
	addr     atomic.Pointer[net.Addr]
}

// New returns a server that is not started. Its Component goes to lifecycle.Run, before all that is checked.
func New(cfg Config) *Server {
	s := &Server{mux: http.NewServeMux(), log: cfg.Log}
	for _, check := range cfg.Checks {
		s.checks = append(s.checks, &runner{Check: check})
	}
	s.mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("GET /servez", s.servez)
	s.mux.Handle("GET /metrics", metrics.Handler(cfg.Registry))
	s.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	s.mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	s.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	s.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	s.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	s.mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // as the pprof tool asks

	s.Component = lifecycle.HTTP("ops server", &http.Server{
		Addr:              cfg.Addr,
		Handler:           s.mux,
		ErrorLog:          logging.Standard(cfg.Log, "ops server"),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // profiles and traces are taken over seconds
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}, func(addr net.Addr) { s.addr.Store(&addr) })
	s.Drain = func() { s.draining.Store(true) }
	return s
}

// Handle serves more on the ops port: the operators' console. The pattern is http.ServeMux's.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// Addr is where the server listens, as "host:port"; "" before it was started.
func (s *Server) Addr() string {
	if addr := s.addr.Load(); addr != nil {
		return (*addr).String()
	}
	return ""
}

// readiness is the answer of /readyz.
type readiness struct {
	// Status is "ready", "not ready" or "stopping".
	Status string            `json:"status"`
	Checks map[string]result `json:"checks"`
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	results, ok := runAll(r.Context(), s.checks)
	answered := readiness{Status: "ready", Checks: results}
	status := http.StatusOK
	switch {
	case s.draining.Load():
		answered.Status, status = "stopping", http.StatusServiceUnavailable
	case !ok:
		answered.Status, status = "not ready", http.StatusServiceUnavailable
	}
	if r.Context().Err() == nil && s.ready.Swap(status == http.StatusOK) != (status == http.StatusOK) {
		s.log.WithField("checks", results).Infof("the process is %s", answered.Status)
	}
	answer(w, status, answered)
}

// servez runs no check: a database that is slow for a moment makes all replicas unready at once, and a balancer that went by
// that would have nobody left to send a request to. Each answers for itself then.
func (s *Server) servez(w http.ResponseWriter, _ *http.Request) {
	status, text := http.StatusOK, "serving"
	if s.draining.Load() {
		status, text = http.StatusServiceUnavailable, "stopping"
	}
	answer(w, status, map[string]string{"status": text})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who asked may have left
}
