package transfers

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
)

// details are the rows of a list's elements, found by the row that they belong to. They and their index are kept in files,
// so that it does not matter how many there are nor in which order they come.
type details struct {
	rows  scratch
	slots scratch
	seed  maphash.Seed
	mask  uint64
	count int64
}

// Each row is kept behind the offset of the row before it of the same key, and its length. A slot holds a hash, the offset
// of the last row behind it plus one (0 where it is free), and whether its rows were asked for.
const (
	rowHead  = 12
	slotSize = 17
	// maxDetails is how many rows may belong to one, and maxDetailBytes how large they may be together.
	maxDetails     = 10_000
	maxDetailBytes = 4 << 20
)

// detailRow is a row that belongs to another.
type detailRow struct {
	key string
	row row
}

// readDetails reads a whole table of them; key is the column that names the row to which each belongs.
func readDetails(ctx context.Context, t table, key int) (*details, error) {
	d := &details{seed: maphash.MakeSeed()}
	var err error
	if d.rows, err = newScratch(); err != nil {
		return nil, err
	}
	if d.slots, err = newScratch(); err == nil {
		err = d.readRows(ctx, t, key)
	}
	if err == nil {
		err = d.buildIndex(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *details) close() error {
	err := d.rows.Close()
	if d.slots.File != nil {
		err = errors.Join(err, d.slots.Close())
	}
	return err
}

func (d *details) readRows(ctx context.Context, t table, key int) error {
	out := bufio.NewWriterSize(d.rows, readAhead)
	var buffer []byte
	for {
		r, err := t.next()
		switch {
		case errors.Is(err, io.EOF):
			return out.Flush()
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case r.isBlank():
			continue
		}
		name := ""
		if key < len(r.cells) {
			name = keyOf(r.cells[key])
		}
		if name == "" {
			if r.problem == nil {
				r.problem = &problem{index: key + 1, code: "required", reason: "is empty: it names the row to which this one belongs"}
			}
		}
		buffer = appendRow(buffer[:0], name, r)
		var head [rowHead]byte
		binary.LittleEndian.PutUint32(head[8:], uint32(len(buffer))) //nolint:gosec // a row is short
		_, _ = out.Write(head[:])                                    // Flush tells
		_, _ = out.Write(buffer)
		d.count++
	}
}

func appendRow(b []byte, key string, r *row) []byte {
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	text(key)
	b = binary.AppendVarint(b, r.number)
	if r.problem == nil {
		b = append(b, 0)
	} else {
		b = binary.AppendVarint(append(b, 1), int64(r.problem.index))
		text(r.problem.value)
		text(r.problem.code)
		text(r.problem.reason)
	}
	b = binary.AppendUvarint(b, uint64(len(r.cells)))
	for i, cell := range r.cells {
		exact := byte(0)
		if r.isExact(i) {
			exact = 1
		}
		b = append(b, exact)
		text(cell)
	}
	return b
}

// parseRow reads what appendRow wrote.
func parseRow(b []byte) detailRow {
	text := func() string {
		n, at := binary.Uvarint(b)
		s := string(b[at : at+int(n)]) //nolint:gosec // what was written here
		b = b[at+len(s):]
		return s
	}
	number := func() int64 {
		n, at := binary.Varint(b)
		b = b[at:]
		return n
	}
	d := detailRow{key: text()}
	d.row.number = number()
	isBad := b[0] == 1
	if b = b[1:]; isBad {
		d.row.problem = &problem{index: int(number()), value: text(), code: text(), reason: text()}
	}
	n, at := binary.Uvarint(b)
	b = b[at:]
	for range n {
		d.row.exact = append(d.row.exact, b[0] == 1)
		b = b[1:]
		d.row.cells = append(d.row.cells, text())
	}
	return d
}

// buildIndex chains the rows of each key, and notes where each chain ends.
func (d *details) buildIndex(ctx context.Context) error {
	size := uint64(16)
	for size < 2*uint64(d.count) { //nolint:gosec // a count
		size *= 2
	}
	d.mask = size - 1
	if err := d.slots.Truncate(int64(size) * slotSize); err != nil { //nolint:gosec // twice a count
		return fmt.Errorf("make a temporary file: %w", err)
	}
	return d.each(func(at int64, r detailRow) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		slot, err := d.find(r.key)
		if err != nil {
			return err
		}
		if slot.last > 0 {
			var previous [8]byte
			binary.LittleEndian.PutUint64(previous[:], uint64(slot.last))
			if _, err := d.rows.WriteAt(previous[:], at); err != nil {
				return fmt.Errorf("write a temporary file: %w", err)
			}
		}
		slot.last = at + 1
		return d.put(slot)
	})
}

// each calls visit for the rows in their order, with their offsets.
func (d *details) each(visit func(at int64, r detailRow) error) error {
	in := blocks{file: d.rows}
	at := int64(0)
	for range d.count {
		payload, err := d.payload(&in, at)
		if err != nil {
			return err
		}
		if err := visit(at, parseRow(payload)); err != nil {
			return err
		}
		at += rowHead + int64(len(payload))
	}
	return nil
}

func (d *details) payload(in *blocks, at int64) ([]byte, error) {
	head, err := in.read(at, rowHead)
	if err != nil {
		return nil, err
	}
	return in.read(at+rowHead, int(binary.LittleEndian.Uint32(head[8:])))
}

// slot is a place in the index.
type slot struct {
	place uint64
	hash  uint64
	last  int64
	taken bool
}

// find returns the slot of a key, a free one where it has none.
func (d *details) find(key string) (slot, error) {
	hash := maphash.String(d.seed, key)
	for place := hash & d.mask; ; place = (place + 1) & d.mask {
		var raw [slotSize]byte
		if _, err := d.slots.ReadAt(raw[:], int64(place)*slotSize); err != nil { //nolint:gosec // within the file
			return slot{}, fmt.Errorf("read a temporary file: %w", err)
		}
		s := slot{
			place: place, hash: binary.LittleEndian.Uint64(raw[:]),
			last: int64(binary.LittleEndian.Uint64(raw[8:])), taken: raw[16] == 1, //nolint:gosec // an offset
		}
		if s.last == 0 || s.hash == hash {
			s.hash = hash
			return s, nil
		}
	}
}

func (d *details) put(s slot) error {
	var raw [slotSize]byte
	binary.LittleEndian.PutUint64(raw[:], s.hash)
	binary.LittleEndian.PutUint64(raw[8:], uint64(s.last)) //nolint:gosec // an offset
	if s.taken {
		raw[16] = 1
	}
	if _, err := d.slots.WriteAt(raw[:], int64(s.place)*slotSize); err != nil { //nolint:gosec // within the file
		return fmt.Errorf("write a temporary file: %w", err)
	}
	return nil
}

var errManyDetails = fmt.Errorf("has more than %d rows that belong to it, or %d bytes of them", maxDetails, maxDetailBytes)

// take returns the rows of a key in their order, and notes that they were asked for.
func (d *details) take(key string) ([]row, error) {
	s, err := d.find(key)
	if err != nil || s.last == 0 {
		return nil, err
	}
	if !s.taken {
		s.taken = true
		err = d.put(s)
	}
	var found []row
	size := 0
	for last := s.last; last > 0 && err == nil; {
		if len(found) == maxDetails || size > maxDetailBytes {
			return nil, errManyDetails
		}
		var head [rowHead]byte
		if _, err = d.rows.ReadAt(head[:], last-1); err != nil {
			break
		}
		payload := make([]byte, binary.LittleEndian.Uint32(head[8:]))
		if _, err = d.rows.ReadAt(payload, last-1+rowHead); err != nil {
			break
		}
		size += len(payload)
		if r := parseRow(payload); r.key == key {
			found = append(found, r.row)
		}
		last = int64(binary.LittleEndian.Uint64(head[:])) //nolint:gosec // an offset
	}
	slices.Reverse(found)
	return found, err
}

// orphans calls report for the rows that nobody asked for, those that name no row among them.
func (d *details) orphans(report func(*row) error) error {
	return d.each(func(_ int64, r detailRow) error {
		if r.key == "" {
			return report(&r.row)
		}
		s, err := d.find(r.key)
		if err != nil || s.taken {
			return err
		}
		return report(&r.row)
	})
}

// keyOf is a cell as what rows are found by.
func keyOf(cell string) string { return strings.TrimSpace(Unguard(cell)) }
