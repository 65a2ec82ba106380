package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/logging"
)

// line logs once and returns what was written.
func line(t *testing.T, act func(*logrus.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	act(logging.New(logging.Config{Output: &out, Process: "api"}))
	var fields map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &fields), out.String())
	return fields
}

func TestNew(t *testing.T) {
	t.Parallel()

	t.Run("writes_one_JSON_object_a_line", func(t *testing.T) {
		t.Parallel()
		fields := line(t, func(l *logrus.Logger) {
			l.WithFields(logrus.Fields{"route": "/x?a=1&b=<2>", "status": 200, "took": 1500 * time.Millisecond, "ok": true, "none": nil}).Info("request\nserved")
		})
		_, err := time.Parse(time.RFC3339Nano, fmt.Sprint(fields["time"]))
		require.NoError(t, err)
		delete(fields, "time")
		assert.Equal(t, map[string]any{
			"level": "info", "message": "request\nserved", "process": "api",
			"route": "/x?a=1&b=<2>", "status": 200.0, "took": "1.5s", "ok": true, "none": nil,
		}, fields)
	})

	t.Run("keeps_a_line_below_what_Docker_writes_in_one_piece", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("a \"ü\"\n", 4_000)
		for name, fields := range map[string]logrus.Fields{
			"text":      {"sql": long},
			"error":     {"error": errors.New(long)},
			"texts":     {"sql": long, "stack": long, "error": long},
			"structure": {"rows": []string{long, long}, "map": map[string]any{"deep": long}},
			"bytes":     {"sql": strings.Repeat("\x00\xff", 9_000)},
		} {
			var out bytes.Buffer
			l := logging.New(logging.Config{Output: &out, Process: "api"})
			l.WithFields(fields).WithField("request_id", "r-1").Error("message " + long)
			assert.LessOrEqual(t, out.Len(), 16<<10, name)
			assert.Greater(t, out.Len(), 4<<10, name)
			var read map[string]any
			require.NoError(t, json.Unmarshal(out.Bytes(), &read), name)
			assert.Equal(t, []any{"r-1", "error", "api"}, []any{read["request_id"], read["level"], read["process"]}, name)
			for field := range fields {
				assert.Contains(t, read[field], "… (cut)", name)
			}
			assert.True(t, strings.HasPrefix(fmt.Sprint(read["message"]), "message a"), name)
		}
		exact := line(t, func(l *logrus.Logger) { l.WithField("sql", strings.Repeat("x", 15_000)).Info("short enough") })
		assert.Len(t, exact["sql"], 15_000)
	})

	t.Run("ends_where_nothing_can_be_shortened", func(t *testing.T) {
		t.Parallel()
		fields := logrus.Fields{}
		for i := range 2000 {
			fields[fmt.Sprintf("field_%d", i)] = i
		}
		assert.Len(t, line(t, func(l *logrus.Logger) { l.WithFields(fields).Info("many fields") }), 2000+4)
	})

	t.Run("keeps_to_its_level", func(t *testing.T) {
		t.Parallel()
		for level, want := range map[string]logrus.Level{
			"debug": logrus.DebugLevel, "warn": logrus.WarnLevel, "error": logrus.ErrorLevel, "": logrus.InfoLevel, "loud": logrus.InfoLevel,
		} {
			assert.Equal(t, want, logging.New(logging.Config{Level: level}).GetLevel(), level)
		}
	})

	t.Run("writes_JSON_in_development_where_nobody_watches", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		logging.New(logging.Config{Output: &out, Development: true}).Info("hello")
		assert.True(t, json.Valid(out.Bytes()), out.String())
	})

	t.Run("leaves_the_entry_as_it_is", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		entry := logging.New(logging.Config{Output: &out}).WithField("password", "hunter2")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { entry.Info("again") })
		}
		wg.Wait()
		assert.Equal(t, "hunter2", entry.Data["password"])
		assert.NotContains(t, out.String(), "hunter2")
	})
}

func TestContextFields(t *testing.T) {
	t.Parallel()
	outer := logging.Into(t.Context(), logrus.Fields{"request_id": "r1", "tenant": "none"})
	inner := logging.Into(outer, logrus.Fields{"tenant": "t1", "access_token": "hunter2"})

	fields := line(t, func(l *logrus.Logger) { l.WithContext(inner).WithField("route", "/x").Info("served") })
	assert.Equal(t, "r1", fields["request_id"])
	assert.Equal(t, "t1", fields["tenant"])
	assert.Equal(t, "/x", fields["route"])
	assert.Equal(t, "[redacted]", fields["access_token"])

	assert.Equal(t, logrus.Fields{"request_id": "r1", "tenant": "none"}, logging.From(outer), "an outer context is not changed")
	assert.Empty(t, logging.From(t.Context()))
}

func TestStandard(t *testing.T) {
	t.Parallel()
	fields := line(t, func(l *logrus.Logger) {
		logging.Standard(l, "http").Printf("http: TLS handshake error from %s", "192.0.2.1")
	})
	assert.Equal(t, "warning", fields["level"])
	assert.Equal(t, "http", fields["component"])
	assert.Equal(t, "http: TLS handshake error from 192.0.2.1", fields["message"])
}

type profile struct {
	Name     string         `json:"name"`
	Password string         `json:"password"`
	Age      int            `json:"age"`
	More     map[string]any `json:"more"`
}

func TestSecretsAreTakenOutByName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"password", "Password", "new_password", "password_hash", "authorization", "Authorization", "Proxy-Authorization", "token",
		"refresh_token", "accessToken", "secret", "ClientSecret", "api_key", "apiKey", "X-Api-Key", "cookie", "Set-Cookie",
		"master_key", "MASTER_KEY", "private_key", "database_url", "DATABASE_URL", "credentials", "otp", "dsn",
	} {
		fields := line(t, func(l *logrus.Logger) { l.WithField(name, "hunter2").Info("x") })
		assert.Equal(t, "[redacted]", fields[name], name)
	}
	for _, name := range []string{"api_key_id", "token_type", "key", "customer", "path", "keyset", "author"} {
		fields := line(t, func(l *logrus.Logger) { l.WithField(name, "plain").Info("x") })
		assert.Equal(t, "plain", fields[name], name)
	}

	t.Run("at_any_depth", func(t *testing.T) {
		t.Parallel()
		fields := line(t, func(l *logrus.Logger) {
			l.WithFields(logrus.Fields{
				"body":    map[string]any{"token": "hunter2", "list": []any{map[string]any{"secret": "hunter2"}, "plain"}},
				"header":  http.Header{"Authorization": {"Bearer hunter2"}, "Accept": {"*/*"}},
				"profile": &profile{Name: "Ann", Password: "hunter2", Age: 41, More: map[string]any{"Cookie": "hunter2"}},
				"numbers": []int64{9007199254740993},
			}).Info("x")
		})
		assert.Equal(t, map[string]any{"token": "[redacted]", "list": []any{map[string]any{"secret": "[redacted]"}, "plain"}}, fields["body"])
		assert.Equal(t, map[string]any{"Authorization": "[redacted]", "Accept": []any{"*/*"}}, fields["header"])
		assert.Equal(t, map[string]any{"name": "Ann", "password": "[redacted]", "age": 41.0, "more": map[string]any{"Cookie": "[redacted]"}}, fields["profile"])
	})

	t.Run("but_their_absence_is_told", func(t *testing.T) {
		t.Parallel()
		fields := line(t, func(l *logrus.Logger) { l.WithFields(logrus.Fields{"token": "", "secret": nil}).Info("x") })
		assert.Empty(t, fields["token"])
		assert.Nil(t, fields["secret"])
	})
}

type stringer string

func (s stringer) String() string { return string(s) }

func TestSecretsAreTakenOutByShape(t *testing.T) {
	t.Parallel()
	const jwt = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl-_x"
	for raw, want := range map[string]string{
		"token " + jwt + " is late":                                           "token [redacted] is late",
		"key gw_live_0123456789abcdefABCDEF used":                             "key gw_live_[redacted] used",
		"dial postgres://app:hun/ter@2@db:5432/x?sslmode=off":                 "dial postgres://[redacted]@db:5432/x?sslmode=off",
		"redis://:hunter2@redis:6379/0":                                       "redis://[redacted]@redis:6379/0",
		"GET https://hunter2@git.example/x":                                   "GET https://[redacted]@git.example/x",
		"signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":                  "signed with whsec_[redacted]",
		"sk_live_4eC39HqLyjWDarjtT1zdp7dc":                                    "sk_live_[redacted]",
		"Authorization: Bearer abcdefghijklmnop0123":                          "Authorization: Bearer [redacted]",
		"host=db user=app password=hunter2 dbname=x":                          "host=db user=app password=[redacted] dbname=x",
		"GET /reset?token=hunter2&x=1":                                        "GET /reset?token=[redacted]&x=1",
		`body {"new_password": "hunter2", "name":"Ann"}`:                      `body {"new_password": "[redacted]", "name":"Ann"}`,
		`quoted "{\"secret\":\"hunter2\"}"`:                                   `quoted "{\"secret\":\"[redacted]\"}"`,
		"-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\nafter": "[redacted]\nafter",
		// What is no secret stays whole.
		"verify token: signature is invalid":           "verify token: signature is invalid",
		"Basic rules apply":                            "Basic rules apply",
		"mail to ann@example.com via https://a.ex/b@c": "mail to ann@example.com via https://a.ex/b@c",
		"http://127.0.0.1:8080/api/v1/x_y?limit=1":     "http://127.0.0.1:8080/api/v1/x_y?limit=1",
		"groundwork_app owns gw_live_ keys":            "groundwork_app owns gw_live_ keys",
	} {
		assert.Equal(t, want, logging.Redact(raw))
		fields := line(t, func(l *logrus.Logger) {
			l.WithError(fmt.Errorf("act: %w", errors.New(raw))).
				WithFields(logrus.Fields{"text": raw, "bytes": []byte(raw), "stringer": stringer(raw), "list": []string{raw}}).Error(raw)
		})
		assert.Equal(t, want, fields["message"])
		assert.Equal(t, want, fields["text"])
		assert.Equal(t, want, fields["bytes"])
		assert.Equal(t, want, fields["stringer"])
		assert.Equal(t, "act: "+want, fields["error"])
		assert.Equal(t, []any{want}, fields["list"])
	}
}

func TestOddValuesAreLoggedAnyhow(t *testing.T) {
	t.Parallel()
	var none *time.Location // a Stringer that is nil
	fields := line(t, func(l *logrus.Logger) {
		l.WithFields(logrus.Fields{"complex": complex(1, 2), "nil": none, "at": time.Unix(0, 0).UTC()}).Info("x")
	})
	assert.Equal(t, "(1+2i)", fields["complex"])
	assert.Nil(t, fields["nil"])
	assert.Equal(t, "1970-01-01T00:00:00Z", fields["at"])
}

func BenchmarkRequestLine(b *testing.B) {
	logger := logging.New(logging.Config{Output: bytes.NewBuffer(make([]byte, 0, 1<<20))})
	var out discard
	logger.SetOutput(out)
	ctx := logging.Into(b.Context(), logrus.Fields{"request_id": "0190f5a0-0000-7000-8000-000000000000", "tenant": "0190f5a0-0000-7000-8000-000000000001"})
	for b.Loop() {
		logger.WithContext(ctx).WithFields(logrus.Fields{
			"method": "GET", "route": "/api/v1/customers/:id", "status": 200, "duration_ms": 1.25, "statements": 1,
		}).Info("request")
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
