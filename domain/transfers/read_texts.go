package transfers

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// sharedTexts are the texts that a workbook's cells refer to by number. They are kept in files, and read a block at a time:
// cells mostly come in the order of their texts.
type sharedTexts struct {
	texts, ends blocks
	count       int64
}

// readTexts reads the texts once, so that each can be found by its number.
func (w *workbook) readTexts(name string) error {
	if name == "" || w.parts[name] == nil {
		return nil
	}
	from, err := w.part(name, maxStringsBytes)
	if err != nil {
		return err
	}
	defer from.Close()
	if w.texts, err = newSharedTexts(); err != nil {
		return err
	}
	texts, ends := bufio.NewWriter(w.texts.texts.file), bufio.NewWriter(w.texts.ends.file)
	m := markup{from: bufio.NewReaderSize(from, readAhead)}
	end, inText, silent := uint64(0), false, false
	for {
		p, err := m.next()
		if errors.Is(err, io.EOF) {
			return errors.Join(texts.Flush(), ends.Flush())
		}
		if err != nil {
			return err
		}
		switch {
		case p == someText:
			if inText && !silent {
				n, _ := texts.Write(m.text) // Flush tells
				end += uint64(n)            //nolint:gosec // of what was written
			}
		case m.tag.name == "t":
			inText = p == startTag
		case m.tag.name == "rPh":
			silent = p == startTag
		case m.tag.name == "si" && p == endTag:
			_ = binary.Write(ends, binary.LittleEndian, end) // Flush tells
			w.texts.count++
		}
	}
}

func newSharedTexts() (*sharedTexts, error) {
	texts, err := newScratch()
	if err != nil {
		return nil, err
	}
	ends, err := newScratch()
	if err != nil {
		return nil, errors.Join(err, texts.Close())
	}
	return &sharedTexts{texts: blocks{file: texts}, ends: blocks{file: ends}}, nil
}

func (s *sharedTexts) close() error { return errors.Join(s.texts.file.Close(), s.ends.file.Close()) }

// text is the text of a number.
func (w *workbook) text(n int64) (string, error) {
	if w.texts == nil || n < 0 || n >= w.texts.count {
		return "", fmt.Errorf("a cell refers to text %d, which is not there", n)
	}
	begin, end := int64(0), int64(0)
	var err error
	if n > 0 {
		begin, err = w.texts.ends.number(n - 1)
	}
	if err == nil {
		end, err = w.texts.ends.number(n)
	}
	if err != nil || end-begin > maxRowBytes {
		return "", errors.Join(errors.New("a text is too long"), err)
	}
	text, err := w.texts.texts.read(begin, int(end-begin))
	return string(text), err
}

// blocks reads a file where it was read last, mostly without asking the system.
type blocks struct {
	file  scratch
	begin int64
	block []byte
}

// read returns n bytes from an offset on; they are good until the next call.
func (b *blocks) read(at int64, n int) ([]byte, error) {
	if at < b.begin || at+int64(n) > b.begin+int64(len(b.block)) {
		if size := max(n, readAhead); cap(b.block) < size {
			b.block = make([]byte, size)
		}
		b.begin, b.block = at, b.block[:cap(b.block)]
		got, err := b.file.ReadAt(b.block, at)
		if b.block = b.block[:got]; got < n {
			return nil, fmt.Errorf("read a temporary file: %w", err)
		}
	}
	return b.block[at-b.begin:][:n], nil
}

func (b *blocks) number(n int64) (int64, error) {
	const size = 8
	raw, err := b.read(n*size, size)
	if err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(raw)), nil //nolint:gosec // what was written here
}
