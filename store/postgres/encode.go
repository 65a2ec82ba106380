package postgres

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

const (
	textFormat   = int16(pgtype.TextFormatCode)
	binaryFormat = int16(pgtype.BinaryFormatCode)
)

// postgresEpoch is what PostgreSQL counts its microseconds from: 2000-01-01, in seconds of Unix.
const postgresEpoch = 946_684_800

// maxSeconds is how far from there times are encoded here, about 9,000 years; pgx sees to those beyond.
const maxSeconds = 9_000 * 365 * 86_400

// encoder encodes the arguments of one round trip into memory that the next one reuses.
type encoder struct {
	values  [][]byte
	formats []int16
	buffer  []byte
}

const (
	keptArguments = 1 << 10
	keptBuffer    = 64 << 10
)

func (e *encoder) reset() {
	if cap(e.values) > keptArguments || cap(e.buffer) > keptBuffer {
		*e = encoder{}
		return
	}
	clear(e.values)
	e.values, e.formats, e.buffer = e.values[:0], e.formats[:0], e.buffer[:0]
}

// typed encodes arguments whose types the server named.
func (e *encoder) typed(types *pgtype.Map, oids []uint32, args []driver.NamedValue) error {
	if len(oids) != len(args) {
		return fmt.Errorf("postgres: the statement takes %d arguments, and %d were given", len(oids), len(args))
	}
	for i := range args {
		if err := e.add(types, oids[i], args[i].Value); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return nil
}

// text encodes arguments whose types the server will guess.
func (e *encoder) text(types *pgtype.Map, args []driver.NamedValue) error {
	for i := range args {
		oid := uint32(0)
		switch args[i].Value.(type) {
		case []tenancy.ID, []uuid.UUID:
			oid = pgtype.UUIDArrayOID
		}
		if err := e.encode(types, oid, textFormat, args[i].Value); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return nil
}

// add encodes one value: the usual types by hand, the others as pgx does.
func (e *encoder) add(types *pgtype.Map, oid uint32, value any) error {
	start := len(e.buffer)
	switch v := value.(type) {
	case nil:
		e.push(nil, textFormat)
		return nil
	case string:
		e.buffer = append(e.buffer, v...)
		e.push(e.buffer[start:], textFormat)
		return nil
	case *string:
		if v == nil {
			e.push(nil, textFormat)
			return nil
		}
		e.buffer = append(e.buffer, *v...)
		e.push(e.buffer[start:], textFormat)
		return nil
	case tenancy.ID:
		if oid == pgtype.UUIDOID {
			e.buffer = append(e.buffer, v[:]...)
			e.push(e.buffer[start:], binaryFormat)
			return nil
		}
	case uuid.UUID:
		if oid == pgtype.UUIDOID {
			e.buffer = append(e.buffer, v[:]...)
			e.push(e.buffer[start:], binaryFormat)
			return nil
		}
	case []tenancy.ID:
		if oid == pgtype.UUIDArrayOID && v != nil {
			e.buffer = appendUUIDs(e.buffer, v)
			e.push(e.buffer[start:], binaryFormat)
			return nil
		}
	case int64:
		if oid == pgtype.Int8OID {
			e.buffer = binary.BigEndian.AppendUint64(e.buffer, uint64(v)) //nolint:gosec // two's complement on the wire
			e.push(e.buffer[start:], binaryFormat)
			return nil
		}
	case int:
		if oid == pgtype.Int8OID {
			e.buffer = binary.BigEndian.AppendUint64(e.buffer, uint64(v)) //nolint:gosec // two's complement on the wire
			e.push(e.buffer[start:], binaryFormat)
			return nil
		}
	case time.Time:
		if seconds := v.Unix() - postgresEpoch; oid == pgtype.TimestamptzOID && -maxSeconds < seconds && seconds < maxSeconds {
			micros := seconds*1_000_000 + int64(v.Nanosecond())/1000
			e.buffer = binary.BigEndian.AppendUint64(e.buffer, uint64(micros)) //nolint:gosec // two's complement on the wire
			e.push(e.buffer[start:], binaryFormat)
			return nil
		}
	}
	return e.any(types, oid, value)
}

// appendUUIDs appends an array of uuid in the binary form: its one dimension, no NULLs, and each element behind its
// length.
func appendUUIDs(buffer []byte, ids []tenancy.ID) []byte {
	dimensions := uint32(1)
	if len(ids) == 0 {
		dimensions = 0
	}
	for _, n := range []uint32{dimensions, 0, pgtype.UUIDOID} {
		buffer = binary.BigEndian.AppendUint32(buffer, n)
	}
	if len(ids) == 0 {
		return buffer
	}
	buffer = binary.BigEndian.AppendUint32(buffer, uint32(len(ids))) //nolint:gosec // no array is that long
	buffer = binary.BigEndian.AppendUint32(buffer, 1)                // indexes begin with 1
	for _, id := range ids {
		buffer = binary.BigEndian.AppendUint32(buffer, uint32(len(id)))
		buffer = append(buffer, id[:]...)
	}
	return buffer
}

func (e *encoder) any(types *pgtype.Map, oid uint32, value any) error {
	preferred, other := types.FormatCodeForOID(oid), textFormat
	if preferred == textFormat {
		other = binaryFormat
	}
	err := e.encode(types, oid, preferred, value)
	if err != nil && e.encode(types, oid, other, value) == nil {
		return nil
	}
	return err
}

func (e *encoder) encode(types *pgtype.Map, oid uint32, format int16, value any) error {
	if value == nil {
		e.push(nil, format)
		return nil
	}
	start := len(e.buffer)
	if e.buffer == nil {
		e.buffer = make([]byte, 0, 512)
	}
	encoded, err := types.Encode(oid, format, value, e.buffer)
	if err != nil {
		return err //nolint:wrapcheck // it names the value's type
	}
	if encoded == nil {
		e.push(nil, format)
		return nil
	}
	e.buffer = encoded
	e.push(encoded[start:], format)
	return nil
}

func (e *encoder) push(value []byte, format int16) {
	e.values = append(e.values, value)
	e.formats = append(e.formats, format)
}

// snapshot is a value that does not change any more with what it was taken from: pointers are followed, bytes copied,
// and a value that computes its column's does so now.
func snapshot(value any) (any, error) {
	switch v := value.(type) {
	case nil, string, bool, int, int32, int64, float64, time.Time, tenancy.ID, uuid.UUID:
		return v, nil
	case []byte:
		return bytes.Clone(v), nil
	}
	r := reflect.ValueOf(value)
	if r.Kind() == reflect.Pointer && r.IsNil() {
		return nil, nil //nolint:nilnil // NULL
	}
	if v, ok := value.(driver.Valuer); ok {
		now, err := v.Value()
		if err != nil {
			return nil, fmt.Errorf("the value of a column: %w", err)
		}
		return now, nil
	}
	if r.Kind() == reflect.Pointer {
		return snapshot(r.Elem().Interface())
	}
	if r.Kind() == reflect.Slice {
		c := reflect.MakeSlice(r.Type(), r.Len(), r.Len())
		reflect.Copy(c, r)
		return c.Interface(), nil
	}
	return value, nil
}
