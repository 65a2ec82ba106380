package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// intake is a reader that counts, digests and bounds what goes through it, and remembers why it ended if that was not
// the end of the contents.
type intake struct {
	from   io.Reader
	most   int64 // 0 is any number of bytes
	head   []byte
	end    error // what peek met
	digest hash.Hash
	size   int64
	err    error
}

func newIntake(from io.Reader, most int64) *intake {
	return &intake{from: from, most: most, digest: sha256.New()}
}

// peek returns the first bytes, which are read again later; fewer only where there are no more.
func (i *intake) peek(n int) ([]byte, error) {
	head := make([]byte, n)
	got := 0
	for got < n && i.end == nil {
		var read int
		read, i.end = i.from.Read(head[got:])
		got += read
	}
	i.head = head[:got]
	if i.end != nil && !isEnd(i.end) {
		i.err = unreadable(i.end)
		return nil, i.err
	}
	return i.head, nil
}

// isEnd says whether contents ended as they should: io.EOF itself, since wrapped it is none.
func isEnd(err error) bool { return err == io.EOF } //nolint:errorlint // see above

// Read reads on. Its error is never io.ErrUnexpectedEOF, which others take for an end.
func (i *intake) Read(p []byte) (n int, err error) {
	switch {
	case i.err != nil:
		return 0, i.err
	case len(i.head) > 0:
		n = copy(p, i.head)
		i.head = i.head[n:]
	case i.end != nil:
		err = i.end
	default:
		n, err = i.from.Read(p)
	}
	i.digest.Write(p[:n])
	i.size += int64(n)
	switch {
	case i.most > 0 && i.size > i.most:
		i.err = errTooLarge(i.most)
	case err == nil || isEnd(err):
		return n, err
	default:
		i.err = unreadable(err)
	}
	return 0, i.err
}

func (i *intake) sum() string { return hex.EncodeToString(i.digest.Sum(nil)) }

// unreadable keeps a fault as it is, and else says that the sender broke off.
func unreadable(err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	return fault.New(fault.Malformed, "body_unreadable", "The body ended before all of it was sent.").Because(err)
}

func errTooLarge(most int64) error {
	return fault.New(fault.TooLarge, "file.too_large", fmt.Sprintf("The file is larger than %d bytes; nothing of it was kept.", most))
}

func errType(contentType string, types []string) error {
	return fault.New(fault.Unsupported, "file.type_not_allowed", fmt.Sprintf(
		"The file is of the type %s by its contents; send one of: %s.", contentType, strings.Join(types, ", ")))
}

// takes says whether files of a content type are received.
func (s *Service) takes(contentType string) bool {
	if len(s.config.Types) == 0 {
		return true
	}
	contentType, _, _ = strings.Cut(contentType, ";")
	for _, taken := range s.config.Types {
		group, isGroup := strings.CutSuffix(taken, "/*")
		if strings.EqualFold(taken, contentType) || isGroup && strings.HasPrefix(strings.ToLower(contentType), strings.ToLower(group)+"/") {
			return true
		}
	}
	return false
}
