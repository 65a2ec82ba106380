package config_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/config"
)

// settings has a field of every type.
type settings struct {
	config.Common
	Addr    config.Address `env:"ADDR" default:":8080" help:"Where to listen."`
	Rate    config.Rate    `env:"RATE" default:"600/1m" help:"Requests let through."`
	Body    config.Size    `env:"BODY" default:"1MiB" min:"1KiB" max:"8MiB" help:"The largest body."`
	Origins []string       `env:"ORIGINS" help:"Origins that may call."`
	Trusted []netip.Prefix `env:"TRUSTED" help:"Proxies that are believed."`
	Factor  float64        `env:"FACTOR" default:"0.5" help:"A share."`
	Big     int64          `env:"BIG" help:"A large number."`
	Public  string         `env:"PUBLIC" schemes:"http https" help:"The public address."`
	Since   time.Time      `env:"SINCE" help:"A moment."`
	Queues  string         `env:"QUEUES" flag:"queues" default:"default=10" help:"Queues and their workers."`
	Intake  bool           `flag:"intake" help:"Take webhooks in."`
}

func (s *settings) Check() []config.Problem {
	var problems []config.Problem
	if s.Environment == config.Production && !strings.HasPrefix(s.Public, "https://") {
		problems = append(problems, config.Problem{Name: "PUBLIC", Detail: "must be https in production"})
	}
	return problems
}

// enough is an environment in which settings load.
func enough(more ...string) []string {
	return append([]string{
		"PATH=/bin", "ENVIRONMENT=development", "DATABASE_URL=postgres://app:pw@db/groundwork",
		"REDIS_URL=redis://redis:6379", "MASTER_KEY=s3cret",
	}, more...)
}

func TestLoad(t *testing.T) {
	t.Parallel()

	t.Run("reads_every_type", func(t *testing.T) {
		t.Parallel()
		var s settings
		require.NoError(t, config.Load(&s, []string{"--queues=critical=20", "-intake"}, enough(
			"ADDR=127.0.0.1:0", "RATE=10/1s", "BODY=2MiB", "ORIGINS=https://a.example, https://b.example,",
			"TRUSTED=10.0.0.0/8,192.0.2.1,2001:db8::1", "FACTOR=1.5", "BIG=9007199254740993", "PUBLIC=https://x.example",
			"SINCE=2026-01-02T03:04:05Z", "QUEUES=ignored=1", "SHUTDOWN_TIMEOUT=90s", "DATABASE_MAX_CONNECTIONS=7", "LOG_LEVEL=debug",
		)))
		assert.Equal(t, config.Development, s.Environment)
		assert.Equal(t, "postgres://app:pw@db/groundwork", s.DatabaseURL.Reveal())
		assert.Equal(t, config.Address("127.0.0.1:0"), s.Addr)
		assert.Equal(t, config.Rate{Limit: 10, Per: time.Second}, s.Rate)
		assert.Equal(t, config.Size(2<<20), s.Body)
		assert.Equal(t, []string{"https://a.example", "https://b.example"}, s.Origins)
		assert.Equal(t, []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::1/128"),
		}, s.Trusted)
		assert.InDelta(t, 1.5, s.Factor, 0)
		assert.Equal(t, int64(9007199254740993), s.Big)
		assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), s.Since)
		assert.Equal(t, 90*time.Second, s.ShutdownTimeout)
		assert.Equal(t, 7, s.DatabaseMaxConnections)
		assert.Equal(t, "critical=20", s.Queues, "a flag wins over its variable")
		assert.True(t, s.Intake)
	})

	t.Run("falls_back_to_defaults_and_takes_empty_as_unset", func(t *testing.T) {
		t.Parallel()
		var s settings
		require.NoError(t, config.Load(&s, nil, enough("ADDR=", "RATE=", "SHUTDOWN_TIMEOUT=")))
		assert.Equal(t, config.Address(":8080"), s.Addr)
		assert.Equal(t, "600/1m0s", s.Rate.String())
		assert.Equal(t, "1MiB", s.Body.String())
		assert.Equal(t, 30*time.Second, s.ShutdownTimeout)
		assert.Equal(t, 20, s.DatabaseMaxConnections)
		assert.Equal(t, "default=10", s.Queues)
		assert.False(t, s.Intake)
		assert.Empty(t, s.Origins)
	})

	t.Run("tells_every_problem_at_once_and_no_secret", func(t *testing.T) {
		t.Parallel()
		var s settings
		err := config.Load(&s, []string{"--queue", "x=1", "stray"}, []string{
			"ENVIRONMENT=staging", "DATABASE_URL=mysql://root:hunter2@db/x", "REDIS_URL=redis://:hunt%er3@r",
			"ADDR=8080", "RATE=600", "BODY=9MiB", "TRUSTED=10.0.0.0/33", "SHUTDOWN_TIMEOUT=30", "BIG=1e3",
			"FACTOR=NaN", "DATABASE_MAX_CONNECTIONS=1", "SINCE=yesterday",
		})
		var problems config.Errors
		require.ErrorAs(t, err, &problems)
		details := make(map[string]string)
		for _, p := range problems {
			details[p.Name] = p.Detail
		}
		assert.Equal(t, map[string]string{
			"--queue":                  "unknown flag; remove it, or see --help for those there are",
			`"x=1"`:                    "unexpected argument; settings are flags and environment variables",
			`"stray"`:                  "unexpected argument; settings are flags and environment variables",
			"ENVIRONMENT":              `"staging" is not valid; want development or production`,
			"DATABASE_URL":             "the value (not shown) is not valid; want URL (postgres://… or postgresql://…)",
			"REDIS_URL":                "the value (not shown) is not a URL (special characters in a password are written as %XX); want URL (redis://… or rediss://…)",
			"MASTER_KEY":               "is required; set it, or MASTER_KEY_FILE to a file that holds it (The keyset that seals secrets in the database; made by the command masterkey new.)",
			"ADDR":                     `"8080" is not host:port; want address (host:port or :port)`,
			"RATE":                     `"600" is not valid; want rate (600/1m, 10/1s)`,
			"BODY":                     `"9MiB" is too large; want size in bytes (4096, 512KiB, 8MiB) from 1KiB to 8MiB`,
			"TRUSTED":                  `"10.0.0.0/33" is not valid; want list of address or network (10.0.0.0/8), separated by commas`,
			"SHUTDOWN_TIMEOUT":         `"30" is not valid; want duration (30s, 15m, 2h) from 1s to 1h`,
			"BIG":                      `"1e3" is not valid; want whole number`,
			"FACTOR":                   `"NaN" is not valid; want number`,
			"DATABASE_MAX_CONNECTIONS": `"1" is too small; want whole number from 2 to 1000`,
			"SINCE":                    details["SINCE"],
		}, details)
		assert.Contains(t, details["SINCE"], "yesterday")
		assert.NotContains(t, err.Error(), "hunter2")
		assert.NotContains(t, err.Error(), "er3")
		for name := range details {
			assert.Contains(t, err.Error(), "\n  "+name+": ")
		}
	})

	t.Run("asks_the_struct_for_rules_across_fields", func(t *testing.T) {
		t.Parallel()
		var s settings
		err := config.Load(&s, nil, enough("ENVIRONMENT=production", "PUBLIC=http://x.example"))
		assert.Equal(t, config.Errors{{Name: "PUBLIC", Detail: "must be https in production"}}, err)

		err = config.Load(&s, nil, enough("ENVIRONMENT=production", "PUBLIC=ftp://x.example"))
		assert.Equal(t, config.Errors{{Name: "PUBLIC", Detail: `"ftp://x.example" is not valid; want URL (http://… or https://…)`}}, err,
			"a setting is blamed once")
	})

	t.Run("refuses_a_flag_without_a_value", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{{"--queues"}, {"--queues="}, {"--queues", "--intake"}} {
			err := config.Load(&settings{}, args, enough())
			require.Equal(t, config.Errors{{Name: "--queues", Detail: "has no value; give text"}}, err, args)
		}
		err := config.Load(&settings{}, []string{"--intake=maybe"}, enough())
		assert.Equal(t, config.Errors{{Name: "--intake", Detail: `"maybe" is not valid; want true or false`}}, err)
	})

	t.Run("answers_a_cry_for_help_before_anything_else", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{{"--help"}, {"-h"}, {"--unknown", "-help"}} {
			require.ErrorIs(t, config.Load(&settings{}, args, nil), config.ErrHelp)
		}
	})
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, content string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	type secrets struct {
		Key   config.Secret `env:"KEY" required:"true" help:"A key."`
		Plain string        `env:"PLAIN" help:"No secret."`
	}

	t.Run("are_read_without_their_last_line_break", func(t *testing.T) {
		t.Parallel()
		var s secrets
		require.NoError(t, config.Load(&s, nil, []string{"KEY_FILE=" + write(t, " from a file \r\n"), "PLAIN_FILE=/nowhere"}))
		assert.Equal(t, " from a file ", s.Key.Reveal())
		assert.Empty(t, s.Plain, "only a secret is read from a file")
	})
	t.Run("are_refused_with_a_reason", func(t *testing.T) {
		t.Parallel()
		big := write(t, strings.Repeat("x", 64<<10+1))
		empty := write(t, "\n")
		for want, environ := range map[string][]string{
			"KEY: KEY_FILE is set as well; set one of them":               {"KEY=hunter2", "KEY_FILE=/nowhere"},
			"KEY_FILE: cannot be read: open /nowhere: no such file":       {"KEY_FILE=/nowhere"},
			fmt.Sprintf("KEY_FILE: %q holds more than 65536 bytes", big):  {"KEY_FILE=" + big},
			fmt.Sprintf("KEY_FILE: %q is empty", empty):                   {"KEY_FILE=" + empty},
			"KEY: is required; set it, or KEY_FILE to a file that holds ": {},
		} {
			err := config.Load(&secrets{}, nil, environ)
			require.ErrorContains(t, err, want)
			assert.NotContains(t, err.Error(), "hunter2")
		}
	})
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	var s settings
	require.NoError(t, config.Load(&s, nil, enough("MASTER_KEY=hunter2")))
	asJSON, err := json.Marshal(s)
	require.NoError(t, err)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", s, s, s, s.MasterKey), string(asJSON)} {
		assert.NotContains(t, text, "hunter2")
		assert.Contains(t, text, "[redacted]")
	}
	assert.Empty(t, config.Secret("").String(), "that a secret is missing may be seen")
}

func TestWriteHelp(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, config.WriteHelp(&b, "api", "serves the HTTP API", &settings{}))
	help := b.String()
	assert.Contains(t, help, "api: serves the HTTP API\n")
	assert.Contains(t, help, `
  DATABASE_URL, DATABASE_URL_FILE
      PostgreSQL, as the process's own role (neither superuser nor owner of the tables).
      URL (postgres://… or postgresql://…); required
`)
	assert.Contains(t, help, `
  --queues, QUEUES
      Queues and their workers.
      text; default default=10
`)
	assert.Contains(t, help, "\n  --intake\n      Take webhooks in.\n      true or false; optional\n")
	for _, v := range config.Describe(&settings{}) {
		assert.Contains(t, help, v.Help)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	list := config.Describe(&config.Common{})
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = v.Name
	}
	assert.Equal(t, []string{
		"ENVIRONMENT", "LOG_LEVEL", "DATABASE_URL", "DATABASE_MAX_CONNECTIONS", "REDIS_URL", "MASTER_KEY", "SHUTDOWN_TIMEOUT",
		"SENTRY_DSN", "SENTRY_ENVIRONMENT", "SENTRY_SAMPLE_RATE",
	}, names)
	assert.Equal(t, config.Variable{
		Name: "SHUTDOWN_TIMEOUT", Help: "How long work in flight may take to finish once the process is told to stop.",
		Kind: "duration (30s, 15m, 2h) from 1s to 1h", Default: "30s",
	}, list[6])
	assert.True(t, list[5].Secret && list[5].Required)
}

func TestBadDeclarationsPanic(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]any{
		"want a pointer to a struct": settings{},
		"has no help tag": &struct {
			A string `env:"A"`
		}{},
		"neither an env nor a flag": &struct {
			A string `help:"x"`
		}{},
		"cannot read": &struct {
			A chan int `env:"A" help:"x"`
		}{},
		"is not exported": &struct {
			a string `env:"A" help:"x"`
		}{},
		"bad default": &struct {
			A int `env:"A" help:"x" default:"one"`
		}{},
		"declared twice": &struct {
			A string `env:"A" help:"x"`
			B string `env:"A" help:"x"`
		}{},
		"required and has a default": &struct {
			A string `env:"A" help:"x" required:"true" default:"y"`
		}{},
		"take its flag tag away": &struct {
			A config.Secret `env:"A" flag:"a" help:"x"`
		}{},
		"give it an env tag": &struct {
			A config.Secret `flag:"a" help:"x"`
		}{},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			defer func() { assert.Contains(t, fmt.Sprint(recover()), want) }()
			config.Describe(cfg)
		})
	}
}

func TestTypesRefuse(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "-1", "1.5MiB", "9999999TiB", "MiB", "1 PB", "0x10"} {
		require.Error(t, new(config.Size).UnmarshalText([]byte(raw)), raw)
	}
	for _, raw := range []string{"0/1m", "-1/1m", "600/0s", "600/-1s", "600/minute", "/1m", "600/1m/2"} {
		require.Error(t, new(config.Rate).UnmarshalText([]byte(raw)), raw)
	}
	for _, raw := range []string{"localhost", ":65536", "a:b", "::1:80", ":http"} {
		require.Error(t, new(config.Address).UnmarshalText([]byte(raw)), raw)
	}
	for raw, want := range map[string]string{"4096": "4KiB", "1500": "1500", "10MB": "10000000", "0": "0", "3 GiB": "3GiB"} {
		var size config.Size
		require.NoError(t, size.UnmarshalText([]byte(raw)))
		assert.Equal(t, want, size.String())
	}
}
