package httpapi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/files"
)

// contents are what a binary route answers with. Whatever they are, a browser saves them and runs nothing of them: it is
// told to, by three headers.
type contents struct {
	name, contentType string
	size              int64
	// sha256 of them, in hex, is their tag.
	sha256 string
	// policy is their Content-Security-Policy; "" lets a browser do nothing with them.
	policy string
	// isWhole has them answered whole, whatever part was asked for: another time they may be other bytes.
	isWhole bool
	// isShown has a browser show them instead of saving them.
	isShown bool
	open    func(offset, length int64) (io.ReadCloser, error)
}

// contentsOf are contents that were made for the request.
func contentsOf(name, contentType string, data []byte) contents {
	sum := sha256.Sum256(data)
	return contents{
		name: name, contentType: contentType, size: int64(len(data)), sha256: hex.EncodeToString(sum[:]),
		open: func(offset, length int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data[offset : offset+length])), nil
		},
	}
}

// send answers with a file's contents, or the part of them that Range asks for.
func (h fileHandler) send(c *Call, file files.File) error {
	return contents{
		name: file.Name, contentType: file.ContentType, size: file.Size, sha256: file.SHA256,
		open: func(offset, length int64) (io.ReadCloser, error) {
			return h.service.Open(c.Context(), file, offset, length)
		},
	}.send(c)
}

// send answers with the contents, or the part of them that Range asks for.
func (s contents) send(c *Call) error {
	tag := `"` + s.sha256 + `"`
	c.SetHeader("ETag", tag)
	ranges := "bytes"
	if s.isWhole {
		ranges = "none"
	}
	c.SetHeader("Accept-Ranges", ranges)
	if namesTag(c.Header("If-None-Match"), tag) {
		c.answer.status = http.StatusNotModified
		return nil
	}
	part := span{length: s.size}
	status := http.StatusOK
	if asked := c.Header("Range"); asked != "" && !s.isWhole && (c.Header("If-Range") == "" || c.Header("If-Range") == tag) {
		found, isPart, err := parseRange(asked, s.size)
		if err != nil {
			c.gin.Writer.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", s.size))
			return err
		}
		if isPart {
			part, status = found, http.StatusPartialContent
			c.SetHeader("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.offset, part.offset+part.length-1, s.size))
		}
	}
	c.SetHeader("Content-Type", s.contentType)
	c.SetHeader("Content-Length", strconv.FormatInt(part.length, 10))
	saved := disposition(s.name)
	if s.isShown {
		saved = "inline" + strings.TrimPrefix(saved, "attachment")
	}
	c.SetHeader("Content-Disposition", saved)
	c.SetHeader("Content-Security-Policy", cmp.Or(s.policy, "default-src 'none'; frame-ancestors 'none'; sandbox"))
	if c.gin.Request.Method == http.MethodHead {
		c.AnswerContents(status, nil, 0)
		return nil
	}
	opened, err := s.open(part.offset, part.length)
	if err != nil {
		return err
	}
	c.AnswerContents(status, opened, part.length)
	return nil
}

// namesTag says whether If-None-Match names the tag.
func namesTag(header, tag string) bool {
	for each := range strings.SplitSeq(header, ",") {
		each = strings.TrimPrefix(strings.TrimSpace(each), "W/")
		if each == "*" || each == tag {
			return true
		}
	}
	return false
}

// span is a part of a file.
type span struct{ offset, length int64 }

// parseRange reads the Range header (RFC 9110, 14.2). What is not understood, and several ranges at once, which cost
// more than they are worth, are as if they had not been asked for: isPart is false. A range without a byte of the file
// is a fault.
func parseRange(header string, size int64) (part span, isPart bool, err error) {
	const unit = "bytes="
	if len(header) < len(unit) || !strings.EqualFold(header[:len(unit)], unit) || strings.Contains(header, ",") {
		return span{}, false, nil
	}
	first, last, ok := strings.Cut(strings.TrimSpace(header[len(unit):]), "-")
	if !ok || !isDigits(first) || !isDigits(last) || first == "" && last == "" {
		return span{}, false, nil
	}
	from, until := number(first), number(last)
	switch {
	case first == "": // the last so many bytes
		from = max(size-until, 0)
		if until == 0 {
			from = size
		}
		until = size - 1
	case last == "":
		until = size - 1
	case until < from:
		return span{}, false, nil
	}
	if from >= size {
		return span{}, false, fault.New(fault.OutOfRange, "range_not_satisfiable",
			fmt.Sprintf("The file has %d bytes, and none of those that Range asks for.", size))
	}
	return span{from, min(until, size-1) - from + 1}, true, nil
}

func isDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// number reads digits; a number that is too large to be one is the largest.
func number(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil && digits != "" {
		return 1<<63 - 1
	}
	return n
}

// disposition has a browser save the contents under the file's name (RFC 6266): as it is where it is plain, and in the
// encoding of RFC 8187 beside a plain likeness where it is not.
func disposition(name string) string {
	likeness := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%/`, r) {
			return '_'
		}
		return r
	}, name)
	header := `attachment; filename="` + likeness + `"`
	if likeness != name && utf8.ValidString(name) {
		header += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return header
}
