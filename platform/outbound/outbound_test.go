package outbound_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/outbound"
)

func allow(t *testing.T, entries ...string) outbound.Allow {
	t.Helper()
	a, err := outbound.ParseAllow(entries)
	require.NoError(t, err)
	return a
}

func refusedAs(t *testing.T, code string, err error) {
	t.Helper()
	var refusal *outbound.RefusalError
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, code, refusal.Code, refusal.Detail)
	assert.NotContains(t, refusal.Detail, "127.0.0.1")
}

// receiver is a server on loopback, and its host:port.
func receiver(t *testing.T, handle http.HandlerFunc) (url, hostport string) {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.URL, strings.TrimPrefix(s.URL, "http://")
}

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for _, private := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.0.1",
		"169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1",
		"192.88.99.1", "192.168.1.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1",
		"2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:db8::1", "2002:7f00:1::1", "2620:4f:8000::1",
		"3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
	} {
		assert.False(t, outbound.IsPublic(netip.MustParseAddr(private)), private)
	}
	for _, public := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
		"172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "::ffff:8.8.8.8",
	} {
		assert.True(t, outbound.IsPublic(netip.MustParseAddr(public)), public)
	}
	assert.False(t, outbound.IsPublic(netip.Addr{}))
	assert.False(t, outbound.IsPublic(netip.MustParseAddr("2606:4700:4700::1111%eth0")))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	client := outbound.New(outbound.Config{
		Allow: allow(t, "hooks.test:8443", "10.9.0.0/16"),
		Resolver: resolverOf(t, map[string][]string{
			"public.test.": {"93.184.216.34"}, "hooks.test.": {"10.1.1.1"}, "inside.test.": {"10.1.1.1"}, "near.test.": {"10.9.1.1"},
			"xn--bcher-kva.test.": {"93.184.216.34"}, "localhost.": {"127.0.0.1"},
		}),
	})
	t.Run("refuses", func(t *testing.T) {
		t.Parallel()
		for raw, code := range map[string]string{
			"": "url", "hooks": "url", "//public.test/": "url", "/path": "url", "https://": "url", "https:public.test": "url",
			"https://public.test/" + strings.Repeat("a", outbound.MaxURL): "url",
			"https://public.test/a b":                                     "url", "https://public.test/\x00": "url", "https://public.test\\@inside.test/": "url",
			"https://public.test/\r\nX-A: b": "url", "https://public.test/#there": "url", "https://public.test/#": "url",
			"https://public.test:0/": "url", "https://public.test:99999/": "url", "https://public.test:/": "url", "https://public.test:https/": "url",
			"ftp://public.test/": "https", "file:///etc/passwd": "url", "gopher://public.test/": "https", "javascript:alert(1)": "url",
			"http://public.test/": "https", "http://hooks.test/": "https",
			"https://user@public.test/": "credentials", "https://user:pass@public.test/": "credentials", "https://:@public.test/": "credentials",
			"https://2130706433/": "host", "https://0x7f000001/": "host", "https://0177.0.0.1/": "host", "https://127.1/": "host",
			"https://0x7f.0.0.1/": "host", "https://127.0.0.0x1/": "host", "https://public.123/": "host", "https://127.0.0.1./": "host",
			"https://[::1%25lo]/": "host", "https://[fe80::1%25eth0]/": "host", "https://public.test./": "host", "https://pub_lic.te st/": "url",
			"https://xn--a.test/": "host", "https://" + strings.Repeat("a", 64) + ".test/": "host",
			"https://127.0.0.1/": "private", "https://127.0.0.1:8080/": "private", "https://[::1]/": "private", "https://[::ffff:127.0.0.1]/": "private",
			"https://169.254.169.254/latest/meta-data": "private", "https://localhost/": "private", "https://inside.test/": "private",
			"https://hooks.test/": "private", "https://hooks.test:443/": "private", "https://[64:ff9b::7f00:1]/": "private", "https://0.0.0.0/": "private",
			"https://nobody.test/": "unresolvable", "http://10.8.0.1/": "https",
		} {
			_, err := client.Check(t.Context(), raw)
			refusedAs(t, code, err)
		}
	})
	t.Run("takes_and_brings_into_one_form", func(t *testing.T) {
		t.Parallel()
		for raw, form := range map[string]string{
			"https://public.test/a?b=c":     "https://public.test/a?b=c",
			"HTTPS://Public.TEST:443/a":     "https://public.test/a",
			"https://public.test:8443":      "https://public.test:8443",
			"https://bücher.test/ü":         "https://xn--bcher-kva.test/%C3%BC",
			"https://hooks.test:8443/in":    "https://hooks.test:8443/in",
			"http://hooks.test:8443/in":     "http://hooks.test:8443/in",
			"https://near.test/":            "https://near.test/",
			"http://10.9.3.3:80/":           "http://10.9.3.3/",
			"https://1.1.1.1/":              "https://1.1.1.1/",
			"https://[2606:4700:4700::1]:1": "https://[2606:4700:4700::1]:1",
		} {
			got, err := client.Check(t.Context(), raw)
			require.NoError(t, err, raw)
			assert.Equal(t, form, got)
		}
	})
	t.Run("http_is_for_development", func(t *testing.T) {
		t.Parallel()
		c := outbound.New(outbound.Config{AllowHTTP: true, Resolver: resolverOf(t, map[string][]string{"public.test.": {"93.184.216.34"}})})
		_, err := c.Check(t.Context(), "http://public.test/")
		require.NoError(t, err)
		_, err = c.Check(t.Context(), "http://127.0.0.1/")
		refusedAs(t, "private", err)
	})
}

func TestParseAllow(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"localhost", "10.0.0.0/99", "host:", ":80", "http://host:80", "a@b:80", "10.0.0.0/8/8"} {
		_, err := outbound.ParseAllow([]string{bad})
		require.Error(t, err, bad)
	}
	_, err := outbound.ParseAllow([]string{"", " hooks.internal:8443 ", "10.0.0.0/8", "::ffff:10.0.0.0/104", "[::1]:80"})
	require.NoError(t, err)
}

func TestPost(t *testing.T) {
	t.Parallel()
	t.Run("sends_and_answers", func(t *testing.T) {
		t.Parallel()
		url, hostport := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Seen", r.Header.Get("X-Given")+" "+r.UserAgent()+" ["+r.Header.Get("Accept-Encoding")+"]")
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write(body)
		})
		c := outbound.New(outbound.Config{Allow: allow(t, hostport), UserAgent: "Test/1"})
		got, err := c.Post(t.Context(), outbound.Request{URL: url, Header: http.Header{"X-Given": {"yes"}}, Body: []byte("hello")})
		require.NoError(t, err)
		assert.Equal(t, http.StatusTeapot, got.Status)
		assert.Equal(t, "hello", string(got.Body))
		assert.False(t, got.IsCut)
		assert.Equal(t, "yes Test/1 []", got.Header.Get("X-Seen"))
	})
	t.Run("does_not_reach_a_private_address", func(t *testing.T) {
		t.Parallel()
		var hits atomic.Int64
		url, hostport := receiver(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
		_, port, _ := net.SplitHostPort(hostport)
		c := outbound.New(outbound.Config{AllowHTTP: true})
		for _, u := range []string{url, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://0.0.0.0:" + port} {
			_, err := c.Post(t.Context(), outbound.Request{URL: u})
			refusedAs(t, "private", err)
		}
		assert.Zero(t, hits.Load())
	})
	t.Run("a_name_that_is_public_first_and_private_then_is_not_called", func(t *testing.T) {
		t.Parallel()
		var hits atomic.Int64
		_, hostport := receiver(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
		_, port, _ := net.SplitHostPort(hostport)
		c := outbound.New(outbound.Config{
			AllowHTTP: true, Resolver: resolverOf(t, map[string][]string{"rebind.test.": {"93.184.216.34", "127.0.0.1"}}),
		})
		url, err := c.Check(t.Context(), "http://rebind.test:"+port+"/")
		require.NoError(t, err)
		_, err = c.Post(t.Context(), outbound.Request{URL: url})
		refusedAs(t, "private", err)
		assert.Zero(t, hits.Load())
	})
	t.Run("an_allowed_name_is_allowed_on_its_port_only", func(t *testing.T) {
		t.Parallel()
		_, first := receiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		_, other := receiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		_, port, _ := net.SplitHostPort(first)
		_, otherPort, _ := net.SplitHostPort(other)
		c := outbound.New(outbound.Config{
			Allow: allow(t, "hooks.test:"+port), AllowHTTP: true, Resolver: resolverOf(t, map[string][]string{"hooks.test.": {"127.0.0.1"}}),
		})
		got, err := c.Post(t.Context(), outbound.Request{URL: "http://hooks.test:" + port})
		require.NoError(t, err)
		assert.Equal(t, http.StatusNoContent, got.Status)
		_, err = c.Post(t.Context(), outbound.Request{URL: "http://hooks.test:" + otherPort})
		refusedAs(t, "private", err)
	})
	t.Run("does_not_follow_a_redirect", func(t *testing.T) {
		t.Parallel()
		var hits atomic.Int64
		inside, insideAt := receiver(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
		url, hostport := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside, http.StatusTemporaryRedirect)
		})
		c := outbound.New(outbound.Config{Allow: allow(t, hostport, insideAt)})
		got, err := c.Post(t.Context(), outbound.Request{URL: url})
		require.NoError(t, err)
		assert.Equal(t, http.StatusTemporaryRedirect, got.Status)
		assert.Zero(t, hits.Load())
	})
	t.Run("ignores_the_environments_proxy", func(t *testing.T) {
		t.Parallel()
		url, hostport := receiver(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Path)) })
		c := outbound.New(outbound.Config{Allow: allow(t, hostport)})
		got, err := c.Post(t.Context(), outbound.Request{URL: url + "/direct"})
		require.NoError(t, err)
		assert.Equal(t, "/direct", string(got.Body))
	})
}

func TestHostileReceivers(t *testing.T) {
	t.Parallel()
	// patient waits for what comes, however slow the machine; hasty for what does not.
	patient := func(t *testing.T, hostport string) *outbound.Client {
		t.Helper()
		return outbound.New(outbound.Config{Allow: allow(t, hostport), Timeout: time.Minute, HeaderTimeout: time.Minute, MaxBody: 100})
	}
	hasty := func(t *testing.T, hostport string) *outbound.Client {
		t.Helper()
		return outbound.New(outbound.Config{
			Allow: allow(t, hostport), Timeout: 500 * time.Millisecond, HeaderTimeout: 200 * time.Millisecond, MaxBody: 100,
		})
	}
	bounded := func(t *testing.T, began time.Time) {
		t.Helper()
		assert.Less(t, time.Since(began), 30*time.Second)
	}
	t.Run("never_answers", func(t *testing.T) {
		t.Parallel()
		url, at := receiver(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		began := time.Now()
		_, err := hasty(t, at).Post(t.Context(), outbound.Request{URL: url})
		var failed *outbound.CallError
		require.ErrorAs(t, err, &failed)
		assert.True(t, failed.IsTimeout)
		assert.NotContains(t, failed.Error(), "127.0.0.1")
		bounded(t, began)
	})
	t.Run("drips_its_answer", func(t *testing.T) {
		t.Parallel()
		url, at := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(".")); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				select {
				case <-r.Context().Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
		// Where the machine stands still the time is over before the status comes, and it is asked again.
		c := outbound.New(outbound.Config{Allow: allow(t, at), Timeout: 500 * time.Millisecond, HeaderTimeout: time.Minute, MaxBody: 100})
		require.EventuallyWithT(t, func(tries *assert.CollectT) {
			began := time.Now()
			got, err := c.Post(t.Context(), outbound.Request{URL: url})
			bounded(t, began)
			require.NoError(tries, err, "the status came")
			assert.True(t, got.IsCut)
			assert.Less(t, len(got.Body), 100, "the time was over, not the room")
		}, time.Minute, time.Millisecond)
	})
	t.Run("drips_its_headers", func(t *testing.T) {
		t.Parallel()
		url, at := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(conn, "X-%d: y\r\n", i); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond) // the server under test is slow by its nature
			}
		})
		began := time.Now()
		_, err := hasty(t, at).Post(t.Context(), outbound.Request{URL: url})
		require.Error(t, err)
		bounded(t, began)
	})
	t.Run("never_stops", func(t *testing.T) {
		t.Parallel()
		url, at := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
					return
				}
			}
		})
		began := time.Now()
		got, err := patient(t, at).Post(t.Context(), outbound.Request{URL: url})
		require.NoError(t, err)
		assert.Len(t, got.Body, 100)
		assert.True(t, got.IsCut)
		bounded(t, began)
	})
	t.Run("sends_a_bomb", func(t *testing.T) {
		t.Parallel()
		var bomb bytes.Buffer
		w := gzip.NewWriter(&bomb)
		_, err := w.Write(make([]byte, 32<<20))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		url, at := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		})
		got, err := patient(t, at).Post(t.Context(), outbound.Request{URL: url})
		require.NoError(t, err)
		assert.Equal(t, bomb.Bytes()[:100], got.Body, "it is kept as it came")
	})
	t.Run("sends_endless_headers", func(t *testing.T) {
		t.Parallel()
		url, at := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			for i := range 2000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("y", 100))
			}
		})
		_, err := patient(t, at).Post(t.Context(), outbound.Request{URL: url})
		require.Error(t, err)
	})
	t.Run("hangs_up", func(t *testing.T) {
		t.Parallel()
		url, at := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		})
		_, err := patient(t, at).Post(t.Context(), outbound.Request{URL: url})
		require.EqualError(t, err, "the connection was closed before an answer came")
	})
	t.Run("is_not_there", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(http.NotFoundHandler())
		at := strings.TrimPrefix(s.URL, "http://")
		s.Close()
		_, err := patient(t, at).Post(t.Context(), outbound.Request{URL: s.URL})
		require.EqualError(t, err, "the connection was refused")
	})
	t.Run("has_a_certificate_of_its_own", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		_, err := patient(t, strings.TrimPrefix(s.URL, "https://")).Post(t.Context(), outbound.Request{URL: s.URL})
		var failed *outbound.CallError
		require.ErrorAs(t, err, &failed)
		assert.Contains(t, failed.Reason, "certificate")
	})
}
