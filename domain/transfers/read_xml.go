package transfers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// markup reads the XML of a workbook piece by piece. encoding/xml holds whatever stands between two marks in memory, and
// so would hold a hostile file; this holds maxPiece of it, declares no entities, and goes through a sheet five times as fast.
type markup struct {
	from *bufio.Reader
	text []byte // of the piece last read
	tag  tag
	// closing says that an end tag is to be told of, for a tag that closed itself.
	closing bool
}

// maxPiece is how long a tag or the text between two may be.
const maxPiece = maxRowBytes

// piece is what was read.
type piece int

const (
	startTag piece = iota
	endTag
	someText
)

// tag is a start or end tag, without the prefixes of its names.
type tag struct {
	name  string
	attrs []byte // as they stand there
}

var errMarkup = errors.New("its XML is broken")

// next returns the next piece; io.EOF at the end.
func (m *markup) next() (piece, error) {
	if m.closing {
		m.closing = false
		return endTag, nil
	}
	for {
		b, err := m.from.ReadByte()
		if err != nil {
			return 0, err
		}
		if b != '<' {
			_ = m.from.UnreadByte() // it was read just now
			return someText, m.readText()
		}
		head, err := m.from.Peek(3)
		if err != nil {
			return 0, errMarkup
		}
		switch {
		case head[0] == '?':
			err = m.skip("?>")
		case string(head) == "!--":
			err = m.skip("-->")
		case string(head) == "![C":
			return someText, m.readData()
		case head[0] == '!':
			return 0, errors.New("it declares a document type, which no workbook needs and attacks are made of")
		default:
			return m.readTag()
		}
		if err != nil {
			return 0, err
		}
	}
}

// until reads into the text as far as a byte, which is left out.
func (m *markup) until(end byte) error {
	m.text = m.text[:0]
	for {
		part, err := m.from.ReadSlice(end)
		m.text = append(m.text, part...)
		switch {
		case len(m.text) > maxPiece:
			return fmt.Errorf("a piece of it is longer than %d bytes", maxPiece)
		case err == nil:
			m.text = m.text[:len(m.text)-1]
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

func (m *markup) readText() error {
	err := m.until('<')
	switch {
	case err == nil:
		_ = m.from.UnreadByte() // of what was read just now
	case !errors.Is(err, io.EOF):
		return err
	}
	if bytes.IndexByte(m.text, '&') < 0 {
		return nil
	}
	m.text, err = withoutEntities(m.text)
	return err
}

// readData reads <![CDATA[ … ]]>.
func (m *markup) readData() error {
	var data []byte
	for {
		if err := m.until('>'); err != nil {
			return errors.Join(errMarkup, err)
		}
		data = append(append(data, m.text...), '>')
		if len(data) > maxPiece {
			return fmt.Errorf("a piece of it is longer than %d bytes", maxPiece)
		}
		if bytes.HasSuffix(data, []byte("]]>")) {
			break
		}
	}
	const begin = "![CDATA["
	if !bytes.HasPrefix(data, []byte(begin)) || len(data) < len(begin)+3 {
		return errMarkup
	}
	m.text = append(m.text[:0], data[len(begin):len(data)-3]...)
	return nil
}

// skip passes over what ends with end, however long it is.
func (m *markup) skip(end string) error {
	var last []byte
	for {
		part, err := m.from.ReadSlice('>')
		last = append(last, part...)
		last = append(last[:0], last[max(0, len(last)-len(end)):]...)
		switch {
		case err == nil && string(last) == end:
			return nil
		case errors.Is(err, io.EOF):
			return errMarkup
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// readTag reads a tag behind its <. A > inside of a value ends it only where its quotes are closed.
func (m *markup) readTag() (piece, error) {
	var whole []byte
	var quote byte
	for {
		if err := m.until('>'); err != nil {
			return 0, errors.Join(errMarkup, err)
		}
		quote = quoteAfter(quote, m.text)
		if whole == nil && quote == 0 {
			whole = m.text
			break
		}
		if whole = append(whole, m.text...); quote == 0 {
			break
		}
		if whole = append(whole, '>'); len(whole) > maxPiece {
			return 0, fmt.Errorf("a tag of it is longer than %d bytes", maxPiece)
		}
	}
	if rest, isEnd := bytes.CutPrefix(whole, []byte("/")); isEnd {
		m.tag = tag{name: local(bytes.TrimSpace(rest))}
		return endTag, nil
	}
	whole, m.closing = bytes.CutSuffix(whole, []byte("/"))
	at := bytes.IndexAny(whole, " \t\r\n")
	if at < 0 {
		at = len(whole)
	}
	m.tag = tag{name: local(whole[:at]), attrs: whole[at:]}
	return startTag, nil
}

// quoteAfter is the quotation mark that is open behind a text, before which quote was; 0 for none.
func quoteAfter(quote byte, text []byte) byte {
	for _, b := range text {
		switch {
		case quote == 0 && (b == '"' || b == '\''):
			quote = b
		case b == quote:
			quote = 0
		}
	}
	return quote
}

// local is a name without its prefix. Those that sheets are full of are not made anew each time.
func local(name []byte) string {
	if at := bytes.IndexByte(name, ':'); at >= 0 {
		name = name[at+1:]
	}
	switch string(name) {
	case "c":
		return "c"
	case "v":
		return "v"
	case "t":
		return "t"
	case "is":
		return "is"
	case "row":
		return "row"
	case "si":
		return "si"
	default:
		return string(name)
	}
}

// attr is an attribute's value; "" where there is none. The prefix of its name does not matter.
func (t tag) attr(name string) string {
	for rest := t.attrs; ; {
		rest = bytes.TrimLeft(rest, " \t\r\n")
		key, after, found := bytes.Cut(rest, []byte("="))
		after = bytes.TrimLeft(after, " \t\r\n")
		if !found || len(after) == 0 {
			return ""
		}
		value, next, closed := bytes.Cut(after[1:], after[:1])
		if !closed {
			return ""
		}
		key = bytes.TrimSpace(key)
		if at := bytes.IndexByte(key, ':'); at >= 0 {
			key = key[at+1:]
		}
		if string(key) == name {
			if bytes.IndexByte(value, '&') >= 0 {
				value, _ = withoutEntities(value) // as it stands there where it is broken
			}
			return string(value)
		}
		rest = next
	}
}

// withoutEntities replaces the five entities of XML and the numbers of characters. There are no others.
func withoutEntities(text []byte) ([]byte, error) {
	out := make([]byte, 0, len(text))
	for {
		at := bytes.IndexByte(text, '&')
		if at < 0 {
			return append(out, text...), nil
		}
		out = append(out, text[:at]...)
		name, rest, closed := bytes.Cut(text[at+1:], []byte(";"))
		if !closed {
			return text, errMarkup
		}
		text = rest
		switch string(name) {
		case "amp":
			out = append(out, '&')
		case "lt":
			out = append(out, '<')
		case "gt":
			out = append(out, '>')
		case "quot":
			out = append(out, '"')
		case "apos":
			out = append(out, '\'')
		default:
			r, ok := numbered(string(name))
			if !ok {
				return text, fmt.Errorf("it names the entity %q, which it would have to declare", shortened(string(name)))
			}
			out = append(out, string(r)...)
		}
	}
}

func numbered(name string) (rune, bool) {
	digits, ok := strings.CutPrefix(name, "#")
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	return rune(n), ok && err == nil
}
