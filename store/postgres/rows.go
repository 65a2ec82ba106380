package postgres

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// rows reads the result of a pipeline's last statement, and ends the pipeline with it.
type rows struct {
	conn     *conn
	ctx      context.Context //nolint:containedctx // driver.Rows ends without one
	pipeline *pgconn.Pipeline
	reader   *pgconn.ResultReader
	plan     *plan
	ended    bool
	tag      pgconn.CommandTag
	err      error
}

var (
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
)

func (c *conn) newRows(ctx context.Context, p *pgconn.Pipeline, reader *pgconn.ResultReader, known *plan) *rows {
	// A statement that the server does not keep may have other columns than when it was described.
	if fields := reader.FieldDescriptions(); known == nil || known.description.Name == "" && !known.fits(fields) {
		c.plans.drop(known)
		known = c.planOf(fields)
	}
	return &rows{conn: c, ctx: ctx, pipeline: p, reader: reader, plan: known}
}

func (p *plan) fits(fields []pgconn.FieldDescription) bool {
	return slices.EqualFunc(p.description.Fields, fields, func(a, b pgconn.FieldDescription) bool {
		return a.DataTypeOID == b.DataTypeOID && a.Name == b.Name
	})
}

// planOf reads columns that the server described with the result.
func (c *conn) planOf(fields []pgconn.FieldDescription) *plan {
	p := &plan{columns: make([]string, len(fields)), decoders: make([]decoder, len(fields))}
	p.description.Fields = slices.Clone(fields)
	for i, f := range fields {
		p.columns[i] = f.Name
		p.decoders[i] = decoderOf(c.pgx.TypeMap(), f.DataTypeOID, f.Format)
	}
	return p
}

// Columns are the columns' names, in a slice of the caller's own.
func (r *rows) Columns() []string { return slices.Clone(r.plan.columns) }

// Next reads a row. The last call ends the statement's transaction: what fails then is returned, too.
func (r *rows) Next(dest []driver.Value) error {
	if r.ended || !r.reader.NextRow() {
		if _, err := r.finish(); err != nil {
			return err
		}
		return io.EOF
	}
	for i, src := range r.reader.Values() {
		if src == nil {
			dest[i] = nil
			continue
		}
		v, err := r.plan.decoders[i](src)
		if err != nil {
			return fmt.Errorf("column %s: %w", r.plan.columns[i], err)
		}
		dest[i] = v
	}
	return nil
}

// Close ends the statement.
func (r *rows) Close() error {
	_, err := r.finish()
	return err
}

// finish reads what is left. A statement outside a transaction is committed here, which can fail.
func (r *rows) finish() (pgconn.CommandTag, error) {
	if r.ended {
		return r.tag, r.err
	}
	r.ended = true
	tag, err := r.reader.Close()
	if ended := r.pipeline.Close(); err == nil {
		err = ended
	}
	if err != nil {
		r.conn.outdate(r.plan, err)
		err = r.conn.failed(r.ctx, err)
	} else if t := r.conn.tx; t != nil {
		t.succeeded()
	}
	r.tag, r.err = tag, err
	return tag, err
}

// ColumnTypeDatabaseTypeName is the type's name in capitals; "" for one that is not known.
func (r *rows) ColumnTypeDatabaseTypeName(index int) string {
	if t, ok := r.conn.pgx.TypeMap().TypeForOID(r.plan.description.Fields[index].DataTypeOID); ok {
		return strings.ToUpper(t.Name)
	}
	return ""
}

// ColumnTypeLength is the most characters that the column holds.
func (r *rows) ColumnTypeLength(index int) (int64, bool) {
	f := r.plan.description.Fields[index]
	switch f.DataTypeOID {
	case pgtype.TextOID, pgtype.ByteaOID:
		return math.MaxInt64, true
	case pgtype.VarcharOID, pgtype.BPCharOID:
		const header = 4
		return int64(f.TypeModifier - header), true
	default:
		return 0, false
	}
}

// ColumnTypeScanType is the Go type that the column's values fit in.
func (r *rows) ColumnTypeScanType(index int) reflect.Type {
	switch r.plan.description.Fields[index].DataTypeOID {
	case pgtype.BoolOID:
		return reflect.TypeFor[bool]()
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return reflect.TypeFor[int64]()
	case pgtype.Float4OID, pgtype.Float8OID:
		return reflect.TypeFor[float64]()
	case pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		return reflect.TypeFor[time.Time]()
	case pgtype.ByteaOID, pgtype.JSONOID, pgtype.JSONBOID:
		return reflect.TypeFor[[]byte]()
	default:
		return reflect.TypeFor[string]()
	}
}
