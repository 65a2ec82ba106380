package webhooks_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

func TestSign(t *testing.T) {
	t.Parallel()
	t.Run("is_the_published_vector", func(t *testing.T) {
		t.Parallel()
		secret, err := webhooks.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		require.NoError(t, err)
		got := webhooks.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), secret)
		assert.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", got)
	})
	t.Run("has_a_signature_for_each_secret", func(t *testing.T) {
		t.Parallel()
		a, b := webhooks.NewSecret(), webhooks.NewSecret()
		at := time.Unix(1, 0)
		assert.Equal(t, webhooks.Sign("i", at, nil, a)+" "+webhooks.Sign("i", at, nil, b), webhooks.Sign("i", at, nil, a, b))
	})
}

func TestSecret(t *testing.T) {
	t.Parallel()
	secret := webhooks.NewSecret()
	again, err := webhooks.ParseSecret(secret.Reveal())
	require.NoError(t, err)
	assert.Equal(t, secret.Reveal(), again.Reveal())
	for _, shown := range []string{fmt.Sprint(secret), fmt.Sprintf("%+v", secret), fmt.Sprintf("%#v", secret), fmt.Sprintf("%s", []webhooks.Secret{secret})} {
		assert.NotContains(t, shown, secret.Reveal()[6:16])
	}
	_, err = json.Marshal(secret)
	require.Error(t, err)
	of := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, good := range []string{of(24), of(25), of(64)} {
		_, err := webhooks.ParseSecret(good)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"", "whsec_", of(23), of(65), of(24)[6:], "whsk_" + of(24)[6:], of(24) + " ", of(24) + "\n", "whsec_!!!!", of(5000)} {
		_, err := webhooks.ParseSecret(bad)
		require.Error(t, err, bad)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, event string
		want           bool
	}{
		{"*", "order.paid", true},
		{"*", webhooks.TypeTest, false},
		{"webhook.*", webhooks.TypeTest, false},
		{"order.*", "order.paid", true},
		{"order.*", "order_line.paid", false},
		{"order.*", "orders.paid", false},
		{"order.*", "order", false},
		{"order.paid", "order.paid", true},
		{"order.paid", "order.paid.twice", false},
		{"ord*", "order.paid", false},
		{"", "order.paid", false},
	} {
		assert.Equal(t, tt.want, webhooks.Matches(tt.pattern, tt.event), "%s on %s", tt.pattern, tt.event)
	}
}

func TestPassesFilter(t *testing.T) {
	t.Parallel()
	const data = `{"status":"paid","total_cents":1000,"big":12345678901234567890,"note":null,"ok":true,"tags":["vip","new"],
		"lines":[{"sku":"A","quantity":1},{"sku":"B","quantity":2.50}],"custom":{"color":"red","deep":{"x":1}}}`
	for filter, want := range map[string]bool{
		`{}`:                                          true,
		`{"data.status":"paid"}`:                      true,
		`{"data.status":["placed","paid"]}`:           true,
		`{"data.status":["placed"]}`:                  false,
		`{"data.status":"Paid"}`:                      false,
		`{"data.status":"paid","data.total_cents":1}`: false,
		`{"data.total_cents":1000}`:                   true,
		`{"data.total_cents":1000.0}`:                 true,
		`{"data.total_cents":1e3}`:                    true,
		`{"data.total_cents":"1000"}`:                 false,
		`{"data.big":12345678901234567890}`:           true,
		`{"data.big":12345678901234567891}`:           false,
		`{"data.note":null}`:                          true,
		`{"data.nothing":null}`:                       true,
		`{"data.nothing.deeper":null}`:                true,
		`{"data.nothing":""}`:                         false,
		`{"data.ok":true}`:                            true,
		`{"data.ok":"true"}`:                          false,
		`{"data.tags":"vip"}`:                         true,
		`{"data.tags":["old","new"]}`:                 true,
		`{"data.tags":"old"}`:                         false,
		`{"data.lines.sku":"B"}`:                      true,
		`{"data.lines.quantity":2.5}`:                 true,
		`{"data.lines.sku":"C"}`:                      false,
		`{"data.custom.deep.x":1}`:                    true,
		`{"data.custom":"red"}`:                       false,
		`{"data.status.more":"paid"}`:                 false,
	} {
		var f map[string]any
		require.NoError(t, json.Unmarshal([]byte(filter), &f))
		if filter == `{"data.big":12345678901234567890}` || filter == `{"data.big":12345678901234567891}` {
			f = map[string]any{"data.big": json.Number(filter[12 : len(filter)-1])}
		}
		assert.Equal(t, want, webhooks.PassesFilter(f, []byte(data)), filter)
	}
	assert.False(t, webhooks.PassesFilter(map[string]any{"data.a": nil}, []byte(`broken`)))
}

func TestBodyOf(t *testing.T) {
	t.Parallel()
	id := tenancy.NewID()
	event := webhooks.Event{
		ID: id, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Type: "order.paid", ResourceID: id, Version: 3, Data: []byte(`{"id":"x","version":3}`),
	}
	body, err := webhooks.BodyOf(webhooks.Endpoint{APIVersion: "v1", Payload: webhooks.Full}, event)
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":"`+id.String()+`","type":"order.paid","timestamp":"2026-01-02T03:04:05Z","api_version":"v1","data":{"id":"x","version":3}}`, string(body))
	body, err = webhooks.BodyOf(webhooks.Endpoint{APIVersion: "v1", Payload: webhooks.Thin}, event)
	require.NoError(t, err)
	assert.Contains(t, string(body), `"data":{"id":"`+id.String()+`","version":3}`)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	t.Run("a_late_failure_of_an_open_circuit_is_no_news", func(t *testing.T) {
		t.Parallel()
		h := webhooks.Health{}
		for range 5 {
			h = h.Fail(now, webhooks.Failure{})
		}
		require.True(t, h.IsOpen(now))
		again := h.Fail(now.Add(time.Second), webhooks.Failure{})
		assert.Equal(t, h.Trips, again.Trips)
		assert.Equal(t, h.OpenUntil, again.OpenUntil)
	})
	t.Run("time_outs_open_it_sooner", func(t *testing.T) {
		t.Parallel()
		h := webhooks.Health{}.Fail(now, webhooks.Failure{IsTimeout: true})
		assert.False(t, h.IsOpen(now))
		assert.True(t, h.Fail(now, webhooks.Failure{IsTimeout: true}).IsOpen(now))
	})
	t.Run("the_cool_down_grows_to_a_bound", func(t *testing.T) {
		t.Parallel()
		h, at := webhooks.Health{}, now
		for range 100 {
			h = h.Fail(at, webhooks.Failure{IsProbe: true})
			at = *h.OpenUntil
		}
		last := h.Fail(at, webhooks.Failure{IsProbe: true})
		assert.InDelta(t, (15 * time.Minute).Seconds(), last.OpenUntil.Sub(at).Seconds(), 180)
		assert.False(t, last.Succeed(at).IsHalfOpen(at))
	})
	t.Run("five_days_of_failures_are_hopeless", func(t *testing.T) {
		t.Parallel()
		h := webhooks.Health{}.Fail(now, webhooks.Failure{})
		assert.False(t, h.IsHopeless(now.Add(webhooks.HopelessAfter-time.Second)))
		assert.True(t, h.IsHopeless(now.Add(webhooks.HopelessAfter)))
		assert.False(t, h.Succeed(now).IsHopeless(now.Add(webhooks.HopelessAfter)))
	})
}
