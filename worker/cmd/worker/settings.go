package main

import (
	"net/netip"
	"time"

	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/worker/internal/runner"
)

// settings are what the worker is told.
type settings struct {
	config.Common
	config.Files
	mailSettings
	// OpsAddr is where operators find health, metrics and profiles; never public.
	OpsAddr config.Address `env:"WORKER_OPS_ADDR" default:":9091" help:"Where health, metrics and profiles are served; never public."`
	// Queues are those whose jobs this process runs. Replicas may serve different ones.
	Queues []runner.Queue `env:"WORKER_QUEUES" flag:"queues" default:"critical=10,default=10,webhooks=20,transfers=2,reports=2" help:"The queues whose jobs this process runs, and how many of each at once."`
	// WebhookAllow is what webhooks may call though it is private.
	WebhookAllow []string `env:"WEBHOOK_ALLOW" help:"Private host:port and CIDRs that webhooks and connectors may call; none by default. The API's must be the same."`
	// SystemDatabaseURL is for what goes across tenants: claiming jobs and holding them.
	SystemDatabaseURL config.Secret `env:"SYSTEM_DATABASE_URL" schemes:"postgres postgresql" help:"PostgreSQL, as the role groundwork_system, for claiming jobs; required where queues are served."`
	// ReportingDatabaseURL is where the figures of reports are read.
	ReportingDatabaseURL config.Secret `env:"REPORTING_DATABASE_URL" schemes:"postgres postgresql" help:"PostgreSQL, as the role groundwork_reporting, for reading the figures of reports, such as a replica; the worker's own database where it is not set."`
	// JobLease is how long other workers leave a job alone whose worker says nothing.
	JobLease time.Duration `env:"JOB_LEASE" default:"30s" min:"1s" max:"10m" help:"How long a job is left to a worker that says nothing; then another runs it."`
	// TrashRetention is how long what was deleted can be restored.
	TrashRetention time.Duration `env:"TRASH_RETENTION" default:"720h" min:"1h" help:"How long records that were deleted can be restored; then they are removed for good."`
	// DeadJobsRetention is how long jobs that failed for good await a decision.
	DeadJobsRetention time.Duration `env:"JOBS_DEAD_RETENTION" default:"720h" min:"1h" help:"How long jobs that failed for good can be looked at and retried."`
	// ReportsRetention is how long reports are kept.
	ReportsRetention time.Duration `env:"REPORTS_RETENTION" default:"17520h" min:"24h" help:"How long reports are kept; two years by default."`

	intakeSettings
}

// intakeSettings are what the intake of webhooks is told.
type intakeSettings struct {
	// Intake has this process take webhooks in, beside its queues or with --queues none alone.
	Intake bool `env:"WORKER_INTAKE" flag:"intake" default:"false" help:"Whether this process takes webhooks in."`
	// IntakeAddr is where they are posted to.
	IntakeAddr config.Address `env:"INTAKE_ADDR" default:":8081" help:"Where webhooks are taken in."`
	// IntakeMaxBody bounds one of them; what is larger is refused.
	IntakeMaxBody config.Size `env:"INTAKE_MAX_BODY" default:"1MiB" min:"1KiB" max:"32MiB" help:"How large a webhook may be."`
	// IntakeRateSource limits what one source sends.
	IntakeRateSource config.Rate `env:"INTAKE_RATE_SOURCE" default:"60000/1m" help:"Verified webhooks of one source, shared by all replicas."`
	// IntakeRateAddress limits guessing.
	IntakeRateAddress config.Rate `env:"INTAKE_RATE_ADDRESS" default:"300/1m" help:"Webhooks of one address that do not verify."`
	// TrustedProxies are believed about the sender's address.
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" help:"CIDRs of the balancers whose X-Forwarded-For is believed; none by default."`
	// ShutdownDelay is how long the balancer has to see that the process has turned unready.
	ShutdownDelay time.Duration `env:"SHUTDOWN_DELAY" default:"5s" min:"0s" max:"5m" help:"How long webhooks are still taken once the process is told to stop, for the balancer to notice; at most half of SHUTDOWN_TIMEOUT."`
}

// Check implements config.Checker.
func (s *settings) Check() []config.Problem {
	problems := s.check(s.Environment)
	served, err := runner.Served(s.Queues)
	switch {
	case err != nil:
		problems = append(problems, config.Problem{Name: "WORKER_QUEUES", Detail: err.Error()})
	case len(served) > 0 && s.SystemDatabaseURL.Reveal() == "":
		problems = append(problems, config.Problem{
			Name:   "SYSTEM_DATABASE_URL",
			Detail: "is required to run jobs; set it, or SYSTEM_DATABASE_URL_FILE to a file that holds it, or --queues " + runner.NoQueue,
		})
	}
	return problems
}
