package transfers

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// The encodings that are read.
const (
	utf8Encoding  = "utf-8"
	utf16Encoding = "utf-16"
	windows1252   = "windows-1252"
)

// readAhead is how much of a file is looked at before it is read, and how much is read at once.
const readAhead = 64 << 10

// decoded reads a file's text as UTF-8, without its byte order mark. What is no text stays invalid, for the row to say so.
func decoded(from io.Reader, encoding string) (*bufio.Reader, error) {
	raw := bufio.NewReaderSize(from, readAhead)
	head, err := raw.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var order binary.ByteOrder
	switch {
	case len(head) == 3 && string(head) == "\xef\xbb\xbf":
		_, err := raw.Discard(3)
		return raw, err
	case len(head) >= 2 && string(head[:2]) == "\xff\xfe":
		order = binary.LittleEndian
	case len(head) >= 2 && string(head[:2]) == "\xfe\xff":
		order = binary.BigEndian
	}
	switch {
	case order != nil:
		if _, err := raw.Discard(2); err != nil {
			return nil, err
		}
	case encoding == utf16Encoding:
		if order = binary.LittleEndian; len(head) > 1 && head[0] == 0 {
			order = binary.BigEndian
		}
	case encoding == windows1252:
		return bufio.NewReaderSize(&transcoder{from: raw, next: readWindows1252}, readAhead), nil
	default:
		return raw, nil
	}
	return bufio.NewReaderSize(&transcoder{from: raw, next: func(r *bufio.Reader) (rune, error) { return readUTF16(r, order) }}, readAhead), nil
}

// transcoder writes characters as UTF-8.
type transcoder struct {
	from *bufio.Reader
	next func(*bufio.Reader) (rune, error)
	err  error
}

// invalid is written as a byte that is none of UTF-8.
const invalid rune = -1

// Read reads on.
func (t *transcoder) Read(p []byte) (n int, err error) {
	for n+utf8.UTFMax <= len(p) && t.err == nil {
		var r rune
		if r, t.err = t.next(t.from); t.err != nil {
			break
		}
		if r == invalid {
			p[n] = 0xff
			n++
			continue
		}
		n += utf8.EncodeRune(p[n:], r)
	}
	if n > 0 {
		return n, nil
	}
	if t.err == nil {
		return 0, io.ErrShortBuffer
	}
	return 0, t.err
}

func readUnit(r *bufio.Reader, order binary.ByteOrder) (rune, error) {
	var unit [2]byte
	if _, err := io.ReadFull(r, unit[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return invalid, nil // half a character; the end comes next
		}
		return 0, err
	}
	return rune(order.Uint16(unit[:])), nil
}

func readUTF16(r *bufio.Reader, order binary.ByteOrder) (rune, error) {
	high, err := readUnit(r, order)
	if err != nil || !utf16.IsSurrogate(high) {
		return high, err
	}
	next, err := r.Peek(2)
	if err != nil {
		return invalid, nil //nolint:nilerr // half a pair; the end, or its error, comes next
	}
	pair := utf16.DecodeRune(high, rune(order.Uint16(next)))
	if pair == utf8.RuneError {
		return invalid, nil
	}
	_, err = r.Discard(2)
	return pair, err
}

// readWindows1252 reads a character of Windows-1252, which is Latin-1 but for 0x80 to 0x9f.
func readWindows1252(r *bufio.Reader) (rune, error) {
	const special = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"
	b, err := r.ReadByte()
	if err != nil || b < 0x80 || b > 0x9f {
		return rune(b), err
	}
	return []rune(special)[b-0x80], nil
}
