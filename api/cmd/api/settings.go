package main

import (
	"net/netip"
	"time"

	"github.com/groundwork-saas/groundwork/platform/config"
)

// settings are what the API process is told.
type settings struct {
	config.Common
	config.Files
	// Addr is where the API is served.
	Addr config.Address `env:"API_ADDR" default:":8080" help:"Where the API is served."`
	// OpsAddr is where operators find health, metrics and profiles; never public.
	OpsAddr config.Address `env:"API_OPS_ADDR" default:":9090" help:"Where health, metrics and profiles are served; never public."`
	// PublicURL is the origin that callers see; tokens are issued in its name.
	PublicURL string `env:"PUBLIC_URL" default:"http://localhost:8080" help:"The origin at which callers reach the API; access tokens are issued in its name."`
	// IntakeURL is the origin that senders of webhooks see.
	IntakeURL string `env:"INTAKE_URL" default:"http://localhost:8081" help:"The origin at which senders reach the worker's intake of webhooks; the addresses of webhook sources begin with it."`
	// CORSOrigins are matched exactly.
	CORSOrigins []string `env:"CORS_ORIGINS" help:"Origins of browsers' pages that may call the API, matched exactly; none by default."`
	// TrustedProxies are believed about the caller's address.
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" help:"CIDRs of the balancers whose X-Forwarded-For is believed; none by default."`
	// ShutdownDelay is how long the balancer has to see that the process has turned unready.
	ShutdownDelay time.Duration `env:"SHUTDOWN_DELAY" default:"5s" min:"0s" max:"5m" help:"How long requests are still taken once the process is told to stop, for the balancer to notice; at most half of SHUTDOWN_TIMEOUT."`

	// WebhookAllow is what webhooks may call though it is private.
	WebhookAllow []string `env:"WEBHOOK_ALLOW" help:"Private host:port and CIDRs that webhooks and connectors may call; none by default. The worker's must be the same."`

	RateLimitTenant  config.Rate `env:"RATE_LIMIT_TENANT" default:"60000/1m" help:"Requests of one tenant, shared by all replicas."`
	RateLimitKey     config.Rate `env:"RATE_LIMIT_KEY" default:"30000/1m" help:"Requests with one API key."`
	RateLimitAddress config.Rate `env:"RATE_LIMIT_ADDRESS" default:"300/1m" help:"Requests of one address without a valid credential, sign-ups and sign-ins among them."`
	RateLimitAccount config.Rate `env:"RATE_LIMIT_ACCOUNT" default:"20/15m" help:"Sign-ins and sign-ups with one e-mail address."`

	RequestTimeout  time.Duration `env:"REQUEST_TIMEOUT" default:"30s" min:"1s" max:"10m" help:"How long the work on one request may take."`
	TransferTimeout time.Duration `env:"TRANSFER_TIMEOUT" default:"60s" min:"1s" max:"10m" help:"How long an upload or a download may stand still before it is given up; while it moves it may take as long as it takes."`
	FilesMaxBytes   config.Size   `env:"FILES_MAX_BYTES" default:"100MiB" min:"1KiB" max:"1TiB" help:"How large an uploaded file may be."`
	FilesTypes      []string      `env:"FILES_TYPES" help:"The content types that are taken, such as text/csv or image/*, told from a file's first bytes; all by default."`
	AccessTokenTTL  time.Duration `env:"ACCESS_TOKEN_TTL" default:"10m" min:"1m" max:"1h" help:"How long an access token is good."`
	RefreshTokenTTL time.Duration `env:"REFRESH_TOKEN_TTL" default:"720h" min:"1h" help:"How long a refresh token is good if it is not used."`
	SessionTTL      time.Duration `env:"SESSION_TTL" default:"2160h" min:"1h" help:"How long a session lasts at most, however often it is refreshed."`
	SigningKeyLife  time.Duration `env:"SIGNING_KEY_LIFE" default:"720h" min:"1h" help:"How long a key signs access tokens before the next one takes over."`
}
