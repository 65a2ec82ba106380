package config

import "time"

// Environment says what the process is for.
type Environment string

// The environments. What eases work on one's own machine is on in Development only.
const (
	Development Environment = "development"
	Production  Environment = "production"
)

// Common is what every process is told; a process embeds it in a struct of its own.
type Common struct {
	// Environment decides about conveniences and strictness, never about what the product does.
	Environment Environment `env:"ENVIRONMENT" default:"production" oneof:"development production" help:"What the process is for; development writes logs for people."`
	// LogLevel is the least level that is logged.
	LogLevel string `env:"LOG_LEVEL" default:"info" oneof:"debug info warn error" help:"The least level that is logged."`
	// DatabaseURL is the connection as the process's own role.
	DatabaseURL Secret `env:"DATABASE_URL" required:"true" schemes:"postgres postgresql" help:"PostgreSQL, as the process's own role (neither superuser nor owner of the tables)."`
	// DatabaseMaxConnections bounds the pool of this process. All processes' pools together must stay below
	// PostgreSQL's max_connections.
	DatabaseMaxConnections int `env:"DATABASE_MAX_CONNECTIONS" default:"20" min:"2" max:"1000" help:"The most connections to PostgreSQL that this process holds."`
	// RedisURL is the connection to Redis, which may be lost without losing anything.
	RedisURL Secret `env:"REDIS_URL" required:"true" schemes:"redis rediss" help:"Redis, for queues, caches and limits; what is in it may be lost."`
	// MasterKey seals the secrets that are kept in the database.
	MasterKey Secret `env:"MASTER_KEY" required:"true" help:"The keyset that seals secrets in the database; made by the command masterkey new."`
	// ShutdownTimeout is how long work in flight may take to finish once the process is told to stop.
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" default:"30s" min:"1s" max:"1h" help:"How long work in flight may take to finish once the process is told to stop."`
	// SentryDSN is where errors are told of beside the log; empty tells nobody.
	SentryDSN Secret `env:"SENTRY_DSN" schemes:"https http" help:"The Sentry project that errors are sent to, as https://key@host/1; none by default."`
	// SentryEnvironment tells installations apart that share a project.
	SentryEnvironment string `env:"SENTRY_ENVIRONMENT" help:"What Sentry is told the installation is; ENVIRONMENT by default."`
	// SentrySampleRate is the share of errors that are sent.
	SentrySampleRate float64 `env:"SENTRY_SAMPLE_RATE" default:"1" min:"0.001" max:"1" help:"The share of errors that are sent to Sentry."`
}

// Shared is what every process is told; through it a process's own settings are known by the common ones they embed.
func (c *Common) Shared() *Common { return c }
