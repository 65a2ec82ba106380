package providers_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/inbound/providers"
)

// message is what a test sends; its parts are changed to make it a bad one.
type message struct {
	headers map[string][]string
	body    string
	secrets []string
	now     time.Time
	given   map[string]any
}

func (m message) verify(t *testing.T, provider string) (providers.Event, error) {
	t.Helper()
	settings, problems := providers.Complete(providers.Find(provider), m.given)
	require.Empty(t, problems)
	return providers.Verify(provider, providers.Message{
		Headers: providers.NewHeaders(m.headers), Body: []byte(m.body), Secrets: m.secrets, Settings: settings, Now: m.now,
	})
}

// with is the message with a header replaced; no values take it away.
func (m message) with(name string, values ...string) message {
	headers := map[string][]string{}
	for n, v := range m.headers {
		if !strings.EqualFold(n, name) {
			headers[n] = v
		}
	}
	if len(values) > 0 {
		headers[name] = values
	}
	m.headers = headers
	return m
}

func (m message) refused(t *testing.T, provider, reason string) {
	t.Helper()
	_, err := m.verify(t, provider)
	var refusal providers.RefusalError
	require.ErrorAs(t, err, &refusal)
	assert.Contains(t, refusal.Error(), reason)
	for _, secret := range m.secrets {
		assert.NotContains(t, refusal.Error(), secret)
	}
}

func mac(algorithm func() hash.Hash, key, text string) []byte {
	h := hmac.New(algorithm, []byte(key))
	_, _ = h.Write([]byte(text))
	return h.Sum(nil)
}

func hexMAC(key, text string) string { return hex.EncodeToString(mac(sha256.New, key, text)) }

func base64MAC(key, text string) string {
	return base64.StdEncoding.EncodeToString(mac(sha256.New, key, text))
}

// vectors are messages that the providers themselves publish, but for Stripe's and Slack's, which are signed here.
func vectors() map[string]message {
	at := time.Unix(1_614_265_330, 0)
	return map[string]message{
		"standard": {
			headers: map[string][]string{
				"Webhook-Id": {"msg_p5jXN8AQM9LWM0D4loKWxJek"}, "Webhook-Timestamp": {"1614265330"},
				"Webhook-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
			},
			body: `{"test": 2432232314}`, secrets: []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, now: at,
		},
		"stripe": {
			headers: map[string][]string{"Stripe-Signature": {"t=1614265330,v1=" +
				hexMAC("whsec_test_secret", `1614265330.{"id":"evt_1","type":"invoice.paid","created":1614265000}`)}},
			body: `{"id":"evt_1","type":"invoice.paid","created":1614265000}`, secrets: []string{"whsec_test_secret"}, now: at,
		},
		"github": {
			headers: map[string][]string{
				"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
				"X-Github-Delivery":   {"72d3162e-cc78-11e3-81ab-4c9367dc0958"}, "X-Github-Event": {"ping"},
			},
			body: "Hello, World!", secrets: []string{"It's a Secret to Everybody"}, now: at,
		},
		"shopify": {
			headers: map[string][]string{
				"X-Shopify-Hmac-Sha256": {"hMTq0K2x7oyOjoBwGYeTj5oxfnaVYXzbanUG9aajpKI="},
				"X-Shopify-Webhook-Id":  {"b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"}, "X-Shopify-Topic": {"orders/create"},
				"X-Shopify-Triggered-At": {"2023-03-29T18:00:27.877041743Z"},
			},
			body: `"my secret message"`, secrets: []string{"hush"}, now: at,
		},
		"slack": { // of https://docs.slack.dev/authentication/verifying-requests-from-slack
			headers: map[string][]string{
				"X-Slack-Request-Timestamp": {"1531420618"},
				"X-Slack-Signature":         {"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"},
				"Content-Type":              {"application/x-www-form-urlencoded"},
			},
			body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&" +
				"user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com" +
				"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
			secrets: []string{"8f742231b10e8888abcd99yyyzzz85a5"}, now: time.Unix(1_531_420_618, 0),
		},
		"hmac": {
			headers: map[string][]string{"X-Signature": {hexMAC("a generic secret", `{"type":"made","id":1234567890123456789}`)}},
			body:    `{"type":"made","id":1234567890123456789}`, secrets: []string{"a generic secret"}, now: at,
			given: map[string]any{"id_field": "id"},
		},
	}
}

func signatureHeader(provider string) string {
	return map[string]string{
		"standard": "Webhook-Signature", "stripe": "Stripe-Signature", "github": "X-Hub-Signature-256",
		"shopify": "X-Shopify-Hmac-Sha256", "slack": "X-Slack-Signature", "hmac": "X-Signature",
	}[provider]
}

func TestProviders(t *testing.T) {
	t.Parallel()
	require.Len(t, vectors(), len(providers.All()), "each provider has a vector")
	for _, name := range providers.Names() {
		good, signature := vectors()[name], signatureHeader(name)
		t.Run(name+"_takes_its_vector", func(t *testing.T) {
			t.Parallel()
			_, err := good.verify(t, name)
			require.NoError(t, err)
			among := good
			among.secrets = []string{"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", good.secrets[0], "another one"}
			_, err = among.verify(t, name)
			require.NoError(t, err, "any active secret will do")
		})
		t.Run(name+"_refuses_what_is_not_signed_so", func(t *testing.T) {
			t.Parallel()
			good.with(signature).refused(t, name, "missing")
			good.with(signature, "").refused(t, name, "empty")
			value := good.headers[signature][0]
			good.with(signature, value, value).refused(t, name, "stands 2 times")
			for _, bad := range []string{"v1,", "v1=", "v0=", "sha256=", "t=1614265330,v1=", "x", strings.Repeat("A", 64), "v2,AAAA", ",", "=", strings.ToUpper(value)} {
				if bad == value {
					continue
				}
				_, err := good.with(signature, bad).verify(t, name)
				if name == "github" || name == "hmac" || name == "slack" || name == "stripe" {
					if strings.EqualFold(bad, value) && err == nil {
						continue // hexadecimal has no case
					}
				}
				require.Error(t, err, "%q", bad)
			}
			other := good
			other.secrets = []string{"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
			other.refused(t, name, "fits none")
			none := good
			none.secrets = nil
			none.refused(t, name, "no secret")
			for _, body := range []string{good.body + " ", good.body[1:], ""} {
				changed := good
				changed.body = body
				changed.refused(t, name, "fits none")
			}
		})
		t.Run(name+"_has_rules_for_secrets", func(t *testing.T) {
			t.Parallel()
			p := providers.Find(name)
			for _, bad := range []string{"", "short", strings.Repeat("x", 501), "whsec_line\nbreak", "whsec_nul\x00nul", " whsec_space"} {
				assert.NotEmpty(t, p.CheckSecret(bad), "%q", bad)
			}
		})
		t.Run(name+"_has_rules_for_settings", func(t *testing.T) {
			t.Parallel()
			_, problems := providers.Complete(providers.Find(name), map[string]any{"colour": "red"})
			require.Len(t, problems, 1)
			assert.Equal(t, "colour", problems[0].Name)
			assert.Equal(t, "unknown_field", problems[0].Code)
			settings, problems := providers.Complete(providers.Find(name), nil)
			require.Empty(t, problems)
			data, err := json.Marshal(settings)
			require.NoError(t, err)
			var again map[string]any
			require.NoError(t, json.Unmarshal(data, &again))
			twice, problems := providers.Complete(providers.Find(name), again)
			require.Empty(t, problems, "what was kept is read again")
			assert.Equal(t, settings, twice)
		})
	}
	t.Run("unknown_ones_verify_nothing", func(t *testing.T) {
		t.Parallel()
		_, err := providers.Verify("nobody", providers.Message{Secrets: []string{"a secret"}})
		require.ErrorContains(t, err, "no provider")
	})
}

// Those with a timestamp bound it, in both directions.
func TestTimestamps(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"standard", "stripe", "slack"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := vectors()[name]
			for _, off := range []time.Duration{-300 * time.Second, 300 * time.Second} {
				edge := good
				edge.now = good.now.Add(off)
				_, err := edge.verify(t, name)
				require.NoError(t, err, "%s", off)
			}
			late, early := good, good
			late.now, early.now = good.now.Add(301*time.Second), good.now.Add(-301*time.Second)
			late.refused(t, name, "old")
			early.refused(t, name, "ahead")
			narrow := good
			narrow.given = map[string]any{"tolerance_seconds": 10}
			narrow.now = good.now.Add(11 * time.Second)
			narrow.refused(t, name, "old")
			for _, wrong := range []any{9, 3601, 10.5, "300", true} {
				_, problems := providers.Complete(providers.Find(name), map[string]any{"tolerance_seconds": wrong})
				assert.Len(t, problems, 1, "%v", wrong)
			}
		})
	}
}

func TestStandard(t *testing.T) {
	t.Parallel()
	good := vectors()["standard"]
	signature := good.headers["Webhook-Signature"][0]
	t.Run("reads_a_list", func(t *testing.T) {
		t.Parallel()
		wrong := "v1," + base64MAC("x", "y")
		for _, list := range []string{wrong + " " + signature, signature + " " + wrong, "v2,AAAA " + signature, "v1, " + signature} {
			e, err := good.with("Webhook-Signature", list).verify(t, "standard")
			require.NoError(t, err, list)
			assert.Equal(t, "msg_p5jXN8AQM9LWM0D4loKWxJek", e.ID)
		}
		good.with("Webhook-Signature", "v2"+signature[2:]).refused(t, "standard", "fits none")
		good.with("Webhook-Signature", strings.Repeat(wrong+" ", 1000)+signature).refused(t, "standard", "fits none")
	})
	t.Run("needs_each_header_once", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
			good.with(name).refused(t, "standard", "missing")
		}
		good.with("Webhook-Id", "msg.1").refused(t, "standard", "dot")
		for _, ts := range []string{"x", "-1", "1e9", "99999999999999999999", "253402300800"} {
			good.with("Webhook-Timestamp", ts).refused(t, "standard", "no time")
		}
	})
	t.Run("speaks_as_Svix_does", func(t *testing.T) {
		t.Parallel()
		m := good
		m.headers = map[string][]string{
			"svix-id": good.headers["Webhook-Id"], "svix-timestamp": good.headers["Webhook-Timestamp"], "svix-signature": {signature},
		}
		_, err := m.verify(t, "standard")
		require.NoError(t, err)
	})
	t.Run("takes_ed25519", func(t *testing.T) {
		t.Parallel()
		public, private, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		m := good
		m.secrets = []string{"whpk_" + base64.StdEncoding.EncodeToString(public)}
		m.body = `{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{}}`
		assert.Empty(t, providers.Find("standard").CheckSecret(m.secrets[0]))
		signed := ed25519.Sign(private, []byte("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330."+m.body))
		e, err := m.with("Webhook-Signature", "v1a,"+base64.StdEncoding.EncodeToString(signed)).verify(t, "standard")
		require.NoError(t, err)
		assert.Equal(t, "contact.created", e.Type)
		assert.Equal(t, 2022, e.OccurredAt.Year())
		signed[0] ^= 1
		m.with("Webhook-Signature", "v1a,"+base64.StdEncoding.EncodeToString(signed)).refused(t, "standard", "fits none")
		// The public key is no key of an HMAC.
		m.with("Webhook-Signature", "v1,"+base64MAC(string(public), "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330."+m.body)).refused(t, "standard", "fits none")
	})
	t.Run("knows_its_secrets", func(t *testing.T) {
		t.Parallel()
		check := providers.Find("standard").CheckSecret
		assert.Empty(t, check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
		for size, ok := range map[int]bool{23: false, 24: true, 64: true, 65: false} {
			assert.Equal(t, ok, check("whsec_"+base64.StdEncoding.EncodeToString(make([]byte, size))) == "", "%d bytes", size)
		}
		for _, bad := range []string{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64!", "whpk_AAAA", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
			assert.NotEmpty(t, check(bad), bad)
		}
	})
}

func TestStripe(t *testing.T) {
	t.Parallel()
	good := vectors()["stripe"]
	header := good.headers["Stripe-Signature"][0]
	t.Run("says_what_it_is", func(t *testing.T) {
		t.Parallel()
		e, err := good.verify(t, "stripe")
		require.NoError(t, err)
		assert.Equal(t, providers.Event{ID: "evt_1", Type: "invoice.paid", OccurredAt: time.Unix(1_614_265_000, 0).UTC()}, e)
	})
	t.Run("may_have_several_signatures", func(t *testing.T) {
		t.Parallel()
		ts, right, _ := strings.Cut(header, ",")
		wrong := "v1=" + strings.Repeat("ab", 32)
		for _, list := range []string{ts + "," + wrong + "," + right, ts + "," + right + "," + wrong, right + "," + ts, ts + ",v0=00," + right} {
			_, err := good.with("Stripe-Signature", list).verify(t, "stripe")
			require.NoError(t, err, list)
		}
		good.with("Stripe-Signature", ts+",v0="+right[3:]).refused(t, "stripe", "no signature of version v1")
		good.with("Stripe-Signature", right).refused(t, "stripe", "no timestamp")
		good.with("Stripe-Signature", "t=1614265331,"+right).refused(t, "stripe", "fits none")
		good.with("Stripe-Signature", ts+","+header).refused(t, "stripe", "two timestamps")
	})
	t.Run("body_that_is_no_JSON_is_kept_without_a_type", func(t *testing.T) {
		t.Parallel()
		m := good
		m.body = "not JSON"
		e, err := m.with("Stripe-Signature", "t=1614265330,v1="+hexMAC("whsec_test_secret", "1614265330.not JSON")).verify(t, "stripe")
		require.NoError(t, err)
		assert.Zero(t, e)
	})
	assert.NotEmpty(t, providers.Find("stripe").CheckSecret("sk_live_0123456789"))
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	good := vectors()["github"]
	e, err := good.verify(t, "github")
	require.NoError(t, err)
	assert.Equal(t, providers.Event{ID: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Type: "ping"}, e)
	sha := mac(sha1.New, good.secrets[0], good.body)
	good.with("X-Hub-Signature-256", "sha1="+hex.EncodeToString(sha)).refused(t, "github", "form")
	good.with("X-Hub-Signature-256").with("X-Hub-Signature", "sha1="+hex.EncodeToString(sha)).refused(t, "github", "missing")

	m := good
	m.body = `{"action":"opened","issue":{}}`
	m = m.with("X-Hub-Signature-256", "sha256="+hexMAC(m.secrets[0], m.body)).with("X-GitHub-Event", "issues")
	e, err = m.verify(t, "github")
	require.NoError(t, err)
	assert.Equal(t, "issues.opened", e.Type)
	m.body = "payload=%7B%22action%22%3A%22closed%22%7D"
	m = m.with("X-Hub-Signature-256", "sha256="+hexMAC(m.secrets[0], m.body)).with("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	e, err = m.verify(t, "github")
	require.NoError(t, err)
	assert.Equal(t, "issues.closed", e.Type)
}

func TestShopify(t *testing.T) {
	t.Parallel()
	e, err := vectors()["shopify"].verify(t, "shopify")
	require.NoError(t, err)
	assert.Equal(t, "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043", e.ID)
	assert.Equal(t, "orders/create", e.Type)
	assert.Equal(t, 2023, e.OccurredAt.Year())
}

func TestSlack(t *testing.T) {
	t.Parallel()
	signed := func(body string) message {
		m := vectors()["slack"]
		m.body = body
		return m.with("Content-Type", "application/json").with("X-Slack-Signature", "v0="+hexMAC(m.secrets[0], "v0:1531420618:"+body))
	}
	t.Run("answers_a_signed_challenge_only", func(t *testing.T) {
		t.Parallel()
		m := signed(`{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`)
		e, err := m.verify(t, "slack")
		require.NoError(t, err)
		require.NotNil(t, e.Reply)
		assert.Equal(t, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", string(e.Reply.Body))
		m.with("X-Slack-Signature", "v0="+strings.Repeat("0", 64)).refused(t, "slack", "fits none")
	})
	t.Run("names_the_inner_event", func(t *testing.T) {
		t.Parallel()
		e, err := signed(`{"type":"event_callback","event_id":"Ev08MFMKH6","event_time":1234567890,"event":{"type":"app_mention"}}`).verify(t, "slack")
		require.NoError(t, err)
		assert.Equal(t, providers.Event{ID: "Ev08MFMKH6", Type: "app_mention", OccurredAt: time.Unix(1_234_567_890, 0).UTC()}, e)
	})
	t.Run("needs_both_headers", func(t *testing.T) {
		t.Parallel()
		signed("{}").with("X-Slack-Request-Timestamp").refused(t, "slack", "missing")
		signed("{}").with("X-Slack-Request-Timestamp", "1531420619").refused(t, "slack", "fits none")
	})
}

func TestHMAC(t *testing.T) {
	t.Parallel()
	const secret, body = "a generic secret", `{"kind":"made","data":{"id":1234567890123456789}}`
	hashes := map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}
	for algorithm, h := range hashes {
		for _, encoding := range []string{"hex", "base64"} {
			for _, prefix := range []string{"", "v1="} {
				for _, template := range []string{"", "{timestamp}:{body}", "{id}.{timestamp}.{body}", "before {body} after {timestamp}"} {
					t.Run(fmt.Sprint(algorithm, encoding, prefix, template), func(t *testing.T) {
						t.Parallel()
						text := strings.NewReplacer("{timestamp}", "1614265330", "{id}", "e-1", "{body}", body).Replace(template)
						if template == "" {
							text = "1614265330." + body
						}
						signature := hex.EncodeToString(mac(h, secret, text))
						if encoding == "base64" {
							signature = base64.StdEncoding.EncodeToString(mac(h, secret, text))
						}
						m := message{
							headers: map[string][]string{"X-Mac": {prefix + signature}, "X-At": {"1614265330"}, "X-Event": {"e-1"}},
							body:    body, secrets: []string{secret}, now: time.Unix(1_614_265_330, 0),
							given: map[string]any{
								"header": "x-mac", "algorithm": algorithm, "encoding": encoding, "prefix": prefix, "template": template,
								"timestamp_header": "x-at", "id_header": "x-event", "type_field": "kind",
							},
						}
						e, err := m.verify(t, "hmac")
						require.NoError(t, err)
						assert.Equal(t, providers.Event{ID: "e-1", Type: "made", OccurredAt: time.Unix(1_614_265_330, 0).UTC()}, e)
						m.with("X-At", "1614265331").refused(t, "hmac", "fits none")
						m.with("X-At").refused(t, "hmac", "missing")
						m.with("X-At", "yesterday").refused(t, "hmac", "no time")
						m.with("X-At", "1614269330").refused(t, "hmac", "ahead")
					})
				}
			}
		}
	}
	t.Run("keeps_all_digits_of_an_id", func(t *testing.T) {
		t.Parallel()
		m := message{
			headers: map[string][]string{"X-Signature": {hexMAC(secret, body)}}, body: body, secrets: []string{secret},
			given: map[string]any{"id_field": "data.id"},
		}
		e, err := m.verify(t, "hmac")
		require.NoError(t, err)
		assert.Equal(t, "1234567890123456789", e.ID)
	})
	t.Run("refuses_settings_that_prove_nothing", func(t *testing.T) {
		t.Parallel()
		for name, given := range map[string]map[string]any{
			"template":         {"template": "{timestamp}"},
			"template 2":       {"timestamp_header": "X-At", "template": "{body}"},
			"template 3":       {"template": "{id}.{body}"},
			"template 4":       {"template": "{body}{nonsense}"},
			"header":           {"header": ""},
			"header 2":         {"header": "X Y"},
			"header 3":         {"header": "Authorization"},
			"algorithm":        {"algorithm": "md5"},
			"algorithm 2":      {"algorithm": 5},
			"encoding":         {"encoding": "base32"},
			"prefix":           {"prefix": strings.Repeat("x", 201)},
			"id_field":         {"id_field": "a..b"},
			"timestamp_header": {"timestamp_header": "a\nb"},
		} {
			_, problems := providers.Complete(providers.Find("hmac"), given)
			require.NotEmpty(t, problems, name)
			want, _, _ := strings.Cut(name, " ")
			assert.True(t, slices.ContainsFunc(problems, func(p providers.Problem) bool { return p.Name == want }), "%s: %v", name, problems)
		}
	})
}

// FuzzVerify sends what nobody thought of: nothing may panic, and nothing that was not signed may pass.
func FuzzVerify(f *testing.F) {
	f.Add("stripe", "t=1,v1=00", "1", "{}")
	f.Add("standard", "v1,AAAA v1a,AAAA", "1614265330", "{")
	f.Add("hmac", "sha256=00", "2020-01-01T00:00:00Z", "\x00")
	f.Fuzz(func(t *testing.T, provider, signature, timestamp, body string) {
		headers := map[string][]string{}
		for _, name := range providers.Names() {
			headers[signatureHeader(name)] = []string{signature}
		}
		for _, name := range []string{"webhook-id", "webhook-timestamp", "x-slack-request-timestamp", "svix-id"} {
			headers[name] = []string{timestamp}
		}
		var settings providers.Settings
		if p := providers.Find(provider); p != nil {
			settings, _ = providers.Complete(p, nil)
		}
		_, err := providers.Verify(provider, providers.Message{
			Headers: providers.NewHeaders(headers), Body: []byte(body), Secrets: []string{"whsec_" + strings.Repeat("A", 32)},
			Settings: settings, Now: time.Unix(1_614_265_330, 0),
		})
		require.Error(t, err)
	})
}
