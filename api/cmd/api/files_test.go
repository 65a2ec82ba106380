package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/metrics"
	"github.com/groundwork-saas/groundwork/store/blobs/blobstest"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	const content = "name,email\nAnna,anna@example.com\nBerta,b@example.com\n"
	sum := sha256.Sum256([]byte(content))

	made := o.upload(t, "customers.csv", content)
	id := made.text("id")
	assert.Equal(t, "/api/v1/files/"+id, made.header.Get("Location"))
	assert.Equal(t, "customers.csv", made.text("name"))
	assert.Equal(t, "text/csv", made.text("content_type"), "told from the contents, not from what was said")
	assert.Equal(t, hex.EncodeToString(sum[:]), made.text("sha256"))
	assert.InDelta(t, len(content), made.at("size"), 0)
	assert.Equal(t, o.user, made.text("created_by"))

	found := o.must(t, 200, http.MethodGet, "/files/"+id, nil)
	assert.Equal(t, made.body, found.body)
	assert.Equal(t, 304, o.with("If-None-Match", found.header.Get("ETag")).do(t, http.MethodGet, "/files/"+id, nil).status)

	got := o.fetch(t, http.MethodGet, "/files/"+id+"/content")
	assert.Equal(t, 200, got.status)
	assert.Equal(t, content, got.raw)
	assert.Equal(t, `"`+made.text("sha256")+`"`, got.header.Get("ETag"))
	assert.Equal(t, `attachment; filename="customers.csv"`, got.header.Get("Content-Disposition"))
	assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	assert.Contains(t, got.header.Get("Content-Security-Policy"), "sandbox")
	assert.Equal(t, "private, no-cache", got.header.Get("Cache-Control"))

	usage := o.must(t, 200, http.MethodGet, "/usage", nil)
	assert.InDelta(t, len(content), usage.at("storage_bytes"), 0)
	assert.InDelta(t, 1, usage.at("files"), 0)
	assert.Nil(t, usage.at("storage_limit_bytes"))

	o.must(t, 204, http.MethodDelete, "/files/"+id, nil)
	o.refused(t, 404, "file.not_found", http.MethodGet, "/files/"+id, nil)
	o.refused(t, 404, "file.not_found", http.MethodGet, "/files/"+id+"/content", nil)
	o.refused(t, 404, "file.not_found", http.MethodDelete, "/files/"+id, nil)
	assert.Empty(t, o.must(t, 200, http.MethodGet, "/files", nil).at("data"))
	assert.Equal(t, id, o.must(t, 200, http.MethodGet, "/files?trashed=only", nil).text("data", 0, "id"))
	assert.InDelta(t, 1, o.must(t, 200, http.MethodGet, "/usage", nil).at("files"), 0, "the trash counts")
	o.must(t, 200, http.MethodPost, "/files/"+id+"/restore", nil)
	o.refused(t, 409, "file.not_deleted", http.MethodPost, "/files/"+id+"/restore", nil)
	assert.Equal(t, content, o.fetch(t, http.MethodGet, "/files/"+id+"/content").raw)

	audited := o.must(t, 200, http.MethodGet, "/audit-events?resource=file&resource_id="+id, nil)
	for i, action := range []string{"file.restored", "file.deleted", "file.created"} {
		assert.Equal(t, action, audited.text("data", i, "action"))
	}
}

func TestFileLists(t *testing.T) {
	t.Parallel()
	o := newStack(t).signUp(t)
	for i := range 3 {
		o.upload(t, fmt.Sprintf("%d.txt", i), "text "+strconv.Itoa(i))
	}
	o.upload(t, "page.html", "<!DOCTYPE html><p>hi")
	names := func(query string) (names []string) {
		for cursor := ""; ; {
			a := o.must(t, 200, http.MethodGet, "/files?limit=2&"+query+cursor, nil)
			list, _ := a.at("data").([]any)
			for i := range list {
				names = append(names, a.text("data", i, "name"))
			}
			if a.at("next_cursor") == nil {
				return names
			}
			cursor = "&cursor=" + a.text("next_cursor")
		}
	}
	assert.Equal(t, []string{"page.html", "2.txt", "1.txt", "0.txt"}, names("purpose=upload"))
	assert.Equal(t, []string{"page.html"}, names("content_type=text/html"))
	assert.Empty(t, names("purpose=export"))
	assert.Empty(t, names("to=2020-01-01T00:00:00Z"))
	assert.Len(t, names("from=2020-01-01T00:00:00Z&trashed=with"), 4)
	for query, pointer := range map[string]string{
		"trashed=yes": "trashed", "from=x": "from", "purpose=%00": "purpose", "content_type=%ff": "content_type", "q=x": "q", "limit=0": "limit",
	} {
		a := o.refused(t, 400, "invalid_query", http.MethodGet, "/files?"+query, nil)
		assert.Equal(t, []string{pointer}, a.pointers(), query)
	}
	o.refused(t, 400, "invalid_cursor", http.MethodGet, "/files?cursor=x", nil)
}

func TestRanges(t *testing.T) {
	t.Parallel()
	o := newStack(t).signUp(t)
	content := strings.Repeat("0123456789", 20_000)
	made := o.upload(t, "digits.txt", content)
	path := "/files/" + made.text("id") + "/content"
	tag := `"` + made.text("sha256") + `"`
	size := len(content)
	part := func(from, to int) string { return fmt.Sprintf("bytes %d-%d/%d", from, to, size) }
	for header, want := range map[string]struct{ status, from, to int }{
		"bytes=0-0": {206, 0, 0}, "bytes=5-14": {206, 5, 14}, "BYTES=7-": {206, 7, size - 1}, "bytes=-3": {206, size - 3, size - 1},
		"bytes=-999999999": {206, 0, size - 1}, "bytes=10-99999999999999999999999": {206, 10, size - 1},
		"bytes=" + strconv.Itoa(size) + "-": {416, 0, 0}, "bytes=-0": {416, 0, 0}, "bytes=99999999999999999999-": {416, 0, 0},
		"bytes=5-1": {200, 0, size - 1}, "bytes=a-b": {200, 0, size - 1}, "bytes=--1": {200, 0, size - 1}, "bytes=": {200, 0, size - 1},
		"bytes=-": {200, 0, size - 1}, "lines=1-2": {200, 0, size - 1}, "bytes=0-1,5-6": {200, 0, size - 1},
		"bytes=" + strings.Repeat("0-,", 300) + "0-": {200, 0, size - 1},
	} {
		a := o.with("Range", header).fetch(t, http.MethodGet, path)
		name := header[:min(len(header), 40)]
		require.Equal(t, want.status, a.status, name)
		switch want.status {
		case 416:
			assert.Equal(t, fmt.Sprintf("bytes */%d", size), a.header.Get("Content-Range"), name)
			assert.Contains(t, a.raw, "range_not_satisfiable")
			continue
		case 206:
			assert.Equal(t, part(want.from, want.to), a.header.Get("Content-Range"), name)
		}
		assert.Equal(t, content[want.from:want.to+1], a.raw, name)
		head := o.with("Range", header).fetch(t, http.MethodHead, path)
		assert.Equal(t, want.status, head.status, name)
		assert.Empty(t, head.raw)
		assert.Equal(t, strconv.Itoa(want.to-want.from+1), head.header.Get("Content-Length"), name)
	}
	assert.Equal(t, 206, o.with("Range", "bytes=1-2").with("If-Range", tag).fetch(t, http.MethodGet, path).status)
	assert.Equal(t, 200, o.with("Range", "bytes=1-2").with("If-Range", `"other"`).fetch(t, http.MethodGet, path).status)
	assert.Equal(t, 200, o.with("Range", "bytes=1-2").with("If-Range", "W/"+tag).fetch(t, http.MethodGet, path).status, "a weak tag is none")
	assert.Equal(t, 304, o.with("If-None-Match", `"x", `+tag).fetch(t, http.MethodGet, path).status)
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	o := newStack(t).signUp(t)
	for sent, want := range map[string]string{
		"../../etc/passwd": "passwd", `C:\Users\x\a.txt`: "a.txt", "photo\u202egpj.exe": "photogpj.exe",
		"  spaced   out .txt. ": "spaced out .txt", "Ünïcode ✓.pdf": "Ünïcode ✓.pdf", `quo"te.txt`: `quo"te.txt`,
		strings.Repeat("é", 300) + ".csv": strings.Repeat("é", 125) + ".csv", "bad\xffutf8.txt": "bad\uFFFDutf8.txt",
	} {
		a := o.upload(t, sent, "x")
		assert.Equal(t, want, a.text("name"))
		got := o.fetch(t, http.MethodGet, "/files/"+a.text("id")+"/content").header.Get("Content-Disposition")
		assert.NotContains(t, strings.TrimPrefix(got, `attachment; filename="`), `/`)
		assert.Regexp(t, `^attachment; filename="[ !#-Z^-~\[\]]*"(; filename\*=UTF-8''[A-Za-z0-9%._~-]+)?$`, got)
	}
	for _, sent := range []string{"..", ".", "/", `\`, "\u202e", " . ", "a/.."} {
		a := o.badForm(t, 422, "validation_failed", filePart(sent, "x"))
		assert.Equal(t, []string{"/file"}, a.pointers(), "%q", sent)
	}
}

func TestBadForms(t *testing.T) {
	t.Parallel()
	s := newStack(t, func(c *settings) { c.FilesMaxBytes = 100_000 })
	o := s.signUp(t)
	for name, tt := range map[string]struct {
		parts   []formPart
		status  int
		code    string
		pointer string
	}{
		"no_part":       {nil, 422, "validation_failed", "/file"},
		"two_files":     {[]formPart{filePart("a", "x"), filePart("b", "y")}, 422, "validation_failed", "/file"},
		"another_field": {[]formPart{{`form-data; name="upload"; filename="a"`, "x"}}, 422, "validation_failed", "/upload"},
		"a_field_after": {[]formPart{filePart("a", "x"), {`form-data; name="note"`, "y"}}, 422, "validation_failed", "/note"},
		"no_file_name":  {[]formPart{{`form-data; name="file"`, "x"}}, 422, "validation_failed", "/file"},
		"empty_choice":  {[]formPart{{`form-data; name="file"; filename=""`, ""}}, 422, "validation_failed", "/file"},
		"empty_file":    {[]formPart{filePart("a", "")}, 422, "validation_failed", "/file"},
		"no_name":       {[]formPart{{`form-data`, "x"}}, 422, "validation_failed", "/"},
		"one_byte_over": {[]formPart{filePart("a", strings.Repeat("x", 100_001))}, 413, "file.too_large", ""},
		"far_over":      {[]formPart{filePart("a", strings.Repeat("x", 3_000_000))}, 413, "body_too_large", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := o.badForm(t, tt.status, tt.code, tt.parts...)
			if tt.pointer != "" {
				assert.Equal(t, []string{tt.pointer}, a.pointers(), a.raw)
			}
		})
	}
	form, contentType := formOf(t, filePart("a.txt", "hello"))
	for name, tt := range map[string]struct {
		contentType, body string
		status            int
		code              string
	}{
		"json":             {"application/json", `{}`, 415, "unsupported_media_type"},
		"no_boundary":      {"multipart/form-data", form, 400, "malformed_form"},
		"another_boundary": {"multipart/form-data; boundary=xyz", form, 422, "validation_failed"},
		"cut_in_the_file":  {contentType, form[:len(form)-70], 400, "body_unreadable"},
		"cut_at_the_end":   {contentType, form[:len(form)-6], 400, "body_unreadable"},
		"nothing":          {contentType, "", 422, "validation_failed"},
		"broken_header":    {"multipart/form-data; boundary=x", "--x\r\nno header\r\n\r\nz\r\n--x--\r\n", 400, "malformed_form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := o.with("Content-Type", tt.contentType).do(t, http.MethodPost, "/files", tt.body)
			assert.Equal(t, tt.status, a.status, a.raw)
			assert.Equal(t, tt.code, a.text("code"), a.raw)
		})
	}
	t.Cleanup(func() { assert.Empty(t, s.contents(t), "nothing is kept of what was refused") })
	t.Run("a_file_of_the_greatest_size_is_taken_whole", func(t *testing.T) {
		t.Parallel()
		whole := newStack(t, func(c *settings) { c.FilesMaxBytes = 100_000 }).signUp(t)
		a := whole.upload(t, "a", strings.Repeat("x", 100_000))
		assert.InDelta(t, 100_000, a.at("size"), 0)
	})
}

func TestFileTypesAndQuota(t *testing.T) {
	t.Parallel()
	s := newStack(t, func(c *settings) {
		c.FilesTypes = []string{"text/csv", "image/*"}
		c.FilesQuotaBytes = 100
	})
	o := s.signUp(t)
	o.badForm(t, 415, "file.type_not_allowed", filePart("evil.png", "<!DOCTYPE html><script>alert(1)</script>"))
	o.upload(t, "a.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"+strings.Repeat("x", 40))
	o.badForm(t, 409, "file.quota_exceeded", filePart("b.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"+strings.Repeat("x", 80)))
	assert.Len(t, s.contents(t), 1, "what did not fit is not kept")
	assert.InDelta(t, 100, o.must(t, 200, http.MethodGet, "/usage", nil).at("storage_limit_bytes"), 0)
	s.signUp(t).upload(t, "a.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"+strings.Repeat("x", 40))
}

func TestFileIdempotency(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	named := o.with("Idempotency-Key", "one")
	first := named.upload(t, "a.txt", "hello")
	again := named.upload(t, "a.txt", "hello")
	assert.Equal(t, first.text("id"), again.text("id"))
	assert.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	named.badForm(t, 422, "idempotency_key_reused", filePart("a.txt", "other"))
	assert.Len(t, s.contents(t), 1, "one file, one content")
}

func TestLinks(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	id := o.upload(t, "a.txt", "linked").text("id")
	before := s.now()
	link := o.must(t, 200, http.MethodPost, "/files/"+id+"/link", `{"expires_in":3600}`)
	url, anybody := s.url+strings.TrimPrefix(link.text("url"), "http://localhost:8080"), s.anonymous()
	expires, err := time.Parse(time.RFC3339, link.text("expires_at"))
	require.NoError(t, err)
	assert.WithinRange(t, expires, before.Add(time.Hour-time.Second), s.now().Add(time.Hour+time.Second))

	got := anybody.fetch(t, http.MethodGet, url)
	assert.Equal(t, 200, got.status)
	assert.Equal(t, "linked", got.raw)
	assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	assert.Equal(t, 200, anybody.fetch(t, http.MethodHead, url).status)
	assert.Equal(t, "ink", anybody.with("Range", "bytes=1-3").fetch(t, http.MethodGet, url).raw)
	token := url[strings.Index(url, "token=")+6:]
	assert.NotContains(t, s.logs.String(), token, "a link is a secret")

	for i := range len(token) {
		changed := []byte(token)
		changed[i] = "AB"[map[bool]int{true: 1}[changed[i] == 'A']]
		a := anybody.refused(t, 403, "file.link_invalid", http.MethodGet, "/files/download?token="+string(changed), nil)
		assert.NotContains(t, a.raw, id)
	}
	for _, bad := range []string{"", "?token=", "?token=x", "?token=gw_file_", "?token=" + strings.Repeat("A", 9000), "?token=%00%ff"} {
		anybody.refused(t, 403, "file.link_invalid", http.MethodGet, "/files/download"+bad, nil)
	}
	for _, life := range []string{"0", "-1", "604801", "9223372036854775807"} {
		a := o.refused(t, 422, "validation_failed", http.MethodPost, "/files/"+id+"/link", `{"expires_in":`+life+`}`)
		assert.Equal(t, []string{"/expires_in"}, a.pointers(), life)
	}

	o.must(t, 204, http.MethodDelete, "/files/"+id, nil)
	assert.Equal(t, 404, anybody.fetch(t, http.MethodGet, url).status, "a link of a deleted file is worth nothing")
	o.must(t, 200, http.MethodPost, "/files/"+id+"/restore", nil)
	s.Exec(t, "update tenants set state = 'suspended' where id = $1", o.tenant)
	assert.Equal(t, 404, anybody.fetch(t, http.MethodGet, url).status, "nor one of a suspended tenant")
	s.Exec(t, "update tenants set state = 'active' where id = $1", o.tenant)
	assert.Equal(t, 200, anybody.fetch(t, http.MethodGet, url).status)
	s.Exec(t, "delete from memberships where tenant_id = $1", o.tenant)
	a := anybody.refused(t, 403, "file.link_revoked", http.MethodGet, "/files/download?token="+token, nil)
	assert.NotContains(t, a.raw, "member", "what became of who made it is nobody's business")
	s.advance(2 * time.Hour)
	assert.Contains(t, anybody.fetch(t, http.MethodGet, url).raw, "file.link_expired")
}

// A file that was made of records takes the permission to read them, when it is read.
func TestFilesOfRecords(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	o := s.signUp(t)
	id := o.upload(t, "orders.csv", "number\n1\n").text("id")
	s.Exec(t, "update files set permission = 'orders:read' where id = $1", id)
	narrow, wide := o.key(t, "files:read", "customers:write"), o.key(t, "files:read", "orders:read")
	for path, method := range map[string]string{"/content": http.MethodGet, "/link": http.MethodPost} {
		a := narrow.refused(t, 403, "permission_denied", method, "/files/"+id+path, map[bool]any{true: `{}`}[method == http.MethodPost])
		assert.Contains(t, a.text("detail"), "orders:read")
	}
	assert.Equal(t, 200, narrow.do(t, http.MethodGet, "/files/"+id, nil).status, "that it is there is no secret")
	narrow.refused(t, 403, "permission_denied", http.MethodPost, "/imports", `{"resource":"customers","file_id":"`+id+`","mode":"create"}`)
	assert.Equal(t, 200, wide.fetch(t, http.MethodGet, s.url+"/api/v1/files/"+id+"/content").status)
	link := wide.must(t, 200, http.MethodPost, "/files/"+id+"/link", `{}`)
	url := s.url + strings.TrimPrefix(link.text("url"), "http://localhost:8080")
	assert.Equal(t, 200, s.anonymous().fetch(t, http.MethodGet, url).status)
	s.Exec(t, "update api_keys set scopes = '{files:read}' where tenant_id = $1", o.tenant)
	assert.Contains(t, s.anonymous().fetch(t, http.MethodGet, url).raw, "file.link_revoked")
}

func TestFileRoles(t *testing.T) {
	t.Parallel()
	o := newStack(t).signUp(t)
	id := o.upload(t, "a.txt", "hello").text("id")
	reader := o.key(t, "files:read")
	assert.Equal(t, "hello", reader.fetch(t, http.MethodGet, "/files/"+id+"/content").raw)
	reader.badForm(t, 403, "permission_denied", filePart("b", "x"))
	reader.refused(t, 403, "permission_denied", http.MethodDelete, "/files/"+id, nil)
	writer := o.key(t, "files:write")
	writer.upload(t, "b.txt", "hello")
	writer.refused(t, 403, "permission_denied", http.MethodGet, "/files/"+id, nil)
	revoked := o.must(t, 201, http.MethodPost, "/api-keys", `{"name":"k","scopes":["files:write"]}`)
	key := o.stack.as(revoked.text("key"))
	key.upload(t, "c.txt", "hello")
	o.must(t, 204, http.MethodDelete, "/api-keys/"+revoked.text("id"), nil)
	assert.Equal(t, 401, key.send(t, filePart("d.txt", "hello")).status)
}

// raw opens a connection and begins an upload by hand.
func (s *stack) raw(tb testing.TB, token, extra string) net.Conn {
	tb.Helper()
	conn, err := new(net.Dialer).DialContext(tb.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST "+httpapi.Base+"/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+
		"\r\nContent-Type: multipart/form-data; boundary=b\r\n"+extra+"\r\n")
	require.NoError(tb, err)
	return conn
}

const beginning = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n"

func TestTransfersThatBreakOff(t *testing.T) {
	t.Parallel()
	t.Run("an_upload_whose_client_leaves_keeps_nothing", func(t *testing.T) {
		t.Parallel()
		s := newStack(t)
		o := s.signUp(t)
		conn := s.raw(t, o.token, "Content-Length: 1000000\r\n")
		_, err := io.WriteString(conn, beginning+strings.Repeat("x", 100_000))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(s.contents(t)) == 1 }, time.Minute, 5*time.Millisecond, "it has begun")
		require.NoError(t, conn.Close())
		require.Eventually(t, func() bool { return len(s.contents(t)) == 0 }, time.Minute, 5*time.Millisecond, "nothing is kept")
		assert.Empty(t, o.must(t, 200, http.MethodGet, "/files?trashed=with", nil).at("data"))
	})
	t.Run("an_upload_that_stands_still_is_given_up", func(t *testing.T) {
		t.Parallel()
		s := newStack(t, func(c *settings) { c.TransferTimeout = 2 * time.Second })
		conn := s.raw(t, s.signUp(t).token, "Content-Length: 1000000\r\n")
		_, err := io.WriteString(conn, beginning+strings.Repeat("x", 10_000))
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.Equal(t, 400, response.StatusCode)
		assert.Contains(t, string(body), "body_unreadable")
		assert.Empty(t, s.contents(t))
	})
	t.Run("a_download_that_nobody_reads_is_given_up", func(t *testing.T) {
		t.Parallel()
		var cfg settings
		s := newStack(t, func(c *settings) { cfg = *c })
		o := s.signUp(t)
		id := o.upload(t, "a.txt", strings.Repeat("x", 30<<20)).text("id")
		cfg.TransferTimeout = 2 * time.Second // not before: the upload may take its time
		s.base.Registry = metrics.New("api")
		s.start(t, cfg)
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET "+httpapi.Base+"/files/"+id+"/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+o.token+"\r\n\r\n")
		require.NoError(t, err)
		require.Eventually(t, func() bool { return strings.Contains(s.logs.String(), "i/o timeout") }, time.Minute, 20*time.Millisecond)
	})
	t.Run("a_storage_that_is_away_is_a_503", func(t *testing.T) {
		t.Parallel()
		s := newStack(t)
		o := s.signUp(t)
		id := o.upload(t, "a.txt", "hello").text("id")
		require.NoError(t, os.RemoveAll(s.filesDir))
		require.NoError(t, os.WriteFile(s.filesDir, nil, 0o600))
		a := o.badForm(t, 503, "file.storage_unavailable", filePart("b.txt", "hello"))
		assert.NotEmpty(t, a.header.Get("Retry-After"))
		assert.NotContains(t, a.raw, s.filesDir)
		assert.Equal(t, 503, o.fetch(t, http.MethodGet, "/files/"+id+"/content").status)
		require.NoError(t, os.Remove(s.filesDir))
		assert.Equal(t, 503, o.fetch(t, http.MethodGet, "/files/"+id+"/content").status, "contents that were lost")
		o.upload(t, "c.txt", "hello")
		assert.InDelta(t, 2, o.must(t, 200, http.MethodGet, "/usage", nil).at("files"), 0)
	})
}

func TestFilesInS3(t *testing.T) {
	t.Parallel()
	bucket := blobstest.StartS3(t)
	s := newStack(t, func(c *settings) {
		c.FilesStore, c.S3Endpoint, c.S3Bucket, c.S3PathStyle = "s3", bucket.URL, bucket.Name, true
		c.S3AccessKeyID, c.S3SecretAccessKey = blobstest.AccessKeyID, config.Secret(blobstest.SecretAccessKey)
	})
	o := s.signUp(t)
	content := strings.Repeat("0123456789", 2_000_000)
	id := o.upload(t, "a.txt", content).text("id")
	assert.Equal(t, content, o.fetch(t, http.MethodGet, "/files/"+id+"/content").raw)
	assert.Equal(t, "345", o.with("Range", "bytes=10000003-10000005").fetch(t, http.MethodGet, "/files/"+id+"/content").raw)
	bucket.Server.Close()
	a := o.badForm(t, 503, "file.storage_unavailable", filePart("b.txt", "hello"))
	assert.NotContains(t, a.raw, "127.0.0.1")
	assert.Equal(t, 503, o.fetch(t, http.MethodGet, "/files/"+id+"/content").status)
	assert.InDelta(t, 1, o.must(t, 200, http.MethodGet, "/usage", nil).at("files"), 0)
}
