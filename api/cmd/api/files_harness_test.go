package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
)

// formPart is a part of a multipart form.
type formPart struct{ disposition, content string }

func filePart(name, content string) formPart {
	return formPart{`form-data; name="file"; filename="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`, content}
}

// formOf writes a form, and its content type.
func formOf(tb testing.TB, parts ...formPart) (body, contentType string) {
	tb.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {p.disposition}, "Content-Type": {"image/png"}})
		require.NoError(tb, err)
		_, err = io.WriteString(part, p.content)
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return b.String(), w.FormDataContentType()
}

// send sends a form, and returns the answer.
func (c *client) send(tb testing.TB, parts ...formPart) answer {
	tb.Helper()
	body, contentType := formOf(tb, parts...)
	return c.with("Content-Type", contentType).do(tb, http.MethodPost, "/files", body)
}

// upload uploads a file.
func (c *client) upload(tb testing.TB, name, content string) answer {
	tb.Helper()
	a := c.send(tb, filePart(name, content))
	require.Equal(tb, http.StatusCreated, a.status, a.raw)
	return a
}

// badForm is send, and requires a refusal; of what was sent nothing is kept.
func (c *client) badForm(tb testing.TB, status int, code string, parts ...formPart) answer {
	tb.Helper()
	a := c.send(tb, parts...)
	require.Equal(tb, status, a.status, a.raw)
	require.Equal(tb, code, a.text("code"), a.raw)
	return a
}

// fetch reads a path as it is, whatever it holds.
func (c *client) fetch(tb testing.TB, method, url string) answer {
	tb.Helper()
	if strings.HasPrefix(url, "/") {
		url = c.stack.url + httpapi.Base + url
	}
	request, err := http.NewRequestWithContext(tb.Context(), method, url, nil)
	require.NoError(tb, err)
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	maps.Copy(request.Header, c.header)
	response, err := http.DefaultClient.Do(request)
	require.NoError(tb, err)
	defer func() { assert.NoError(tb, response.Body.Close()) }()
	data, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	return answer{status: response.StatusCode, header: response.Header, raw: string(data)}
}

// contents are what is kept in the stack's folder, by path; drafts among them.
func (s *stack) contents(tb testing.TB) []string {
	tb.Helper()
	var found []string
	require.NoError(tb, filepath.WalkDir(s.filesDir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // not made yet, or gone meanwhile
			return nil
		case err == nil && !entry.IsDir():
			found = append(found, path)
		}
		return err
	}))
	return found
}
