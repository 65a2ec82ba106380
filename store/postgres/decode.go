package postgres

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

var errWire = errors.New("postgres: a value does not have its type's length")

// decoder makes a database/sql value of what came over the wire. The source is only lent.
type decoder func(src []byte) (driver.Value, error)

// formatOf is how a type is asked for: the fixed-size ones in binary, all others as text, which is what their scanners
// read (uuid, numeric, json, arrays, intervals).
func formatOf(oid uint32) int16 {
	switch oid {
	case pgtype.BoolOID, pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID,
		pgtype.ByteaOID, pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.OIDOID:
		return binaryFormat
	default:
		return textFormat
	}
}

func decoderOf(types *pgtype.Map, oid uint32, format int16) decoder {
	if format == binaryFormat {
		return binaryDecoder(oid)
	}
	switch oid {
	case pgtype.JSONOID, pgtype.JSONBOID, pgtype.XMLOID:
		return decodeBytes
	case pgtype.BoolOID:
		return viaPgx[bool](types, oid)
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return decodeTextInteger
	case pgtype.Float4OID, pgtype.Float8OID:
		return viaPgx[float64](types, oid)
	case pgtype.ByteaOID:
		return viaPgx[[]byte](types, oid)
	case pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		return decodeTextTime(types, oid)
	default:
		return decodeString
	}
}

func binaryDecoder(oid uint32) decoder {
	switch oid {
	case pgtype.BoolOID:
		return decodeBool
	case pgtype.Int2OID:
		return decodeInt2
	case pgtype.Int4OID:
		return decodeInt4
	case pgtype.Int8OID:
		return decodeInt8
	case pgtype.OIDOID:
		return decodeOID
	case pgtype.Float4OID:
		return decodeFloat4
	case pgtype.Float8OID:
		return decodeFloat8
	case pgtype.DateOID:
		return decodeDate
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		return decodeTime
	default:
		return decodeBytes
	}
}

func decodeString(src []byte) (driver.Value, error) { return string(src), nil }

func decodeBytes(src []byte) (driver.Value, error) { return bytes.Clone(src), nil }

func decodeBool(src []byte) (driver.Value, error) {
	if len(src) != 1 {
		return nil, errWire
	}
	return src[0] != 0, nil
}

func decodeInt2(src []byte) (driver.Value, error) {
	if len(src) != 2 {
		return nil, errWire
	}
	return int64(int16(binary.BigEndian.Uint16(src))), nil //nolint:gosec // two's complement on the wire
}

func decodeInt4(src []byte) (driver.Value, error) {
	if len(src) != 4 {
		return nil, errWire
	}
	return int64(int32(binary.BigEndian.Uint32(src))), nil //nolint:gosec // two's complement on the wire
}

func decodeInt8(src []byte) (driver.Value, error) {
	if len(src) != 8 {
		return nil, errWire
	}
	return int64(binary.BigEndian.Uint64(src)), nil //nolint:gosec // two's complement on the wire
}

func decodeOID(src []byte) (driver.Value, error) {
	if len(src) != 4 {
		return nil, errWire
	}
	return int64(binary.BigEndian.Uint32(src)), nil
}

func decodeFloat4(src []byte) (driver.Value, error) {
	if len(src) != 4 {
		return nil, errWire
	}
	return float64(math.Float32frombits(binary.BigEndian.Uint32(src))), nil
}

func decodeFloat8(src []byte) (driver.Value, error) {
	if len(src) != 8 {
		return nil, errWire
	}
	return math.Float64frombits(binary.BigEndian.Uint64(src)), nil
}

// decodeDate gives midnight UTC of the day; infinity, which no time.Time holds, comes as text.
func decodeDate(src []byte) (driver.Value, error) {
	if len(src) != 4 {
		return nil, errWire
	}
	switch days := int32(binary.BigEndian.Uint32(src)); days { //nolint:gosec // two's complement on the wire
	case math.MaxInt32:
		return "infinity", nil
	case math.MinInt32:
		return "-infinity", nil
	default:
		return time.Unix(postgresEpoch+int64(days)*86_400, 0).UTC(), nil
	}
}

// decodeTime gives times in UTC; infinity, which no time.Time holds, comes as text.
func decodeTime(src []byte) (driver.Value, error) {
	if len(src) != 8 {
		return nil, errWire
	}
	switch micros := int64(binary.BigEndian.Uint64(src)); micros { //nolint:gosec // two's complement on the wire
	case math.MaxInt64:
		return "infinity", nil
	case math.MinInt64:
		return "-infinity", nil
	default:
		seconds, rest := micros/1_000_000, micros%1_000_000
		return time.Unix(postgresEpoch+seconds, rest*1000).UTC(), nil
	}
}

// viaPgx reads text, which comes in ExecMode Exec only.
func viaPgx[T any](types *pgtype.Map, oid uint32) decoder {
	return func(src []byte) (driver.Value, error) {
		var v T
		if err := types.Scan(oid, textFormat, src, &v); err != nil {
			return nil, fmt.Errorf("read a value: %w", err)
		}
		return v, nil
	}
}

func decodeTextInteger(src []byte) (driver.Value, error) {
	n, err := strconv.ParseInt(string(src), 10, 64)
	return n, err //nolint:wrapcheck // strconv's error says it
}

func decodeTextTime(types *pgtype.Map, oid uint32) decoder {
	read := viaPgx[time.Time](types, oid)
	return func(src []byte) (driver.Value, error) {
		if text := string(src); text == "infinity" || text == "-infinity" {
			return text, nil
		}
		v, err := read(src)
		if t, ok := v.(time.Time); ok {
			return t.UTC(), err
		}
		return v, err
	}
}
