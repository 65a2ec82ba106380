package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jinzhu/inflection"
	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// retryAfter is when to come back to a database that is away or has no connection left.
const retryAfter = 2 * time.Second

// translate is the one place where an error of the database becomes a fault. What is no known mistake or outage stays
// as it is, and is answered as Internal. The original stays in the chain, for logs; nothing of it is in what the
// fault says.
//
// A broken constraint is known by its name: <table>_<column>…_key is a unique value that was taken ("customer.email_taken"),
// …_fkey a record that does not exist, …_check a rule, each of the field that is named last.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return fault.New(fault.NotFound, "not_found", "There is no such record.").Because(err)
	case errors.As(err, &pg):
		return fromServer(err, pg)
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Unavailable, "request.cancelled", "The request was cancelled.").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, "database.timeout", "The request took too long; try again later.").Because(err)
	case isOutage(err):
		return away(err)
	default:
		return err
	}
}

func away(err error) error {
	f := fault.New(fault.Unavailable, "database.unavailable", "The database is away; try again shortly.")
	f.RetryAfter = retryAfter
	return f.Because(err)
}

func fromServer(err error, pg *pgconn.PgError) error {
	resource := inflection.Singular(pg.TableName)
	switch pg.Code {
	case "GW401":
		return fault.New(fault.Unauthorized, "auth.revoked", "Access was revoked; sign in again.").Because(err)
	case "GW402":
		return fault.New(fault.Unauthorized, "auth.outdated", "What you may do has changed; refresh the token.").Because(err)
	case "GW403":
		return fault.New(fault.Forbidden, "tenant.suspended", "The organization is suspended.").Because(err)
	case "23505":
		field := fieldOf(pg, "_key", "_pkey", "_idx")
		f := fault.New(fault.Conflict, resource+"."+field+"_taken",
			"Another "+words(resource)+" has this "+words(field)+".")
		f.Violations = []fault.Violation{{Pointer: "/" + field, Code: "taken", Detail: "This value is taken."}}
		return f.Because(err)
	case "23503":
		return brokenReference(err, pg)
	case "23502":
		return invalid(err, pg.ColumnName, "required", "A value is required.")
	case "23514":
		if pg.ConstraintName == pg.TableName+"_check" { // about several columns, and named for none
			return invalid(err, "", "invalid", "The values are not allowed together.")
		}
		return invalid(err, fieldOf(pg, "_check"), "invalid", "The value is not allowed.")
	case "23P01":
		return fault.New(fault.Conflict, resource+".overlaps", "It overlaps with another "+words(resource)+".").Because(err)
	case "22001":
		return invalid(err, pg.ColumnName, "too_long", "The value is too long.")
	case "22003", "22008":
		return invalid(err, pg.ColumnName, "out_of_range", "The value is out of range.")
	case "22P02", "22007", "22P03", "22018", "22019", "22025", "22026", "2201B", "22023":
		return invalid(err, pg.ColumnName, "invalid", "The value cannot be read.")
	case "22021", "22P05":
		return invalid(err, pg.ColumnName, "encoding", "Text must be UTF-8 without NUL characters.")
	case "57014", "25P03": // the second where nobody spoke in a transaction for too long: the process stood still
		return fault.New(fault.Unavailable, "database.timeout", "The request took too long; try again later.").Because(err)
	case "55P03":
		f := fault.New(fault.Unavailable, "database.busy", "The record is being changed; try again shortly.")
		f.RetryAfter = retryAfter
		return f.Because(err)
	case "40001", "40P01":
		return fault.New(fault.Conflict, "database.contention",
			"Other changes came in between; try again.").Because(err)
	case "25006":
		return away(err) // a server that was demoted to a standby
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "08", "53", "57":
		return away(err)
	default:
		return err
	}
}

// brokenReference tells a reference to what is not there from the removal of what is referred to. PostgreSQL names the
// constraint's table in both cases; whose rows were to be removed stands in its message alone.
func brokenReference(err error, pg *pgconn.PgError) error {
	if _, rest, ok := strings.Cut(pg.Message, `update or delete on table "`); ok {
		table, _, _ := strings.Cut(rest, `"`)
		return fault.New(fault.Conflict, inflection.Singular(table)+".in_use", "Other records refer to it.").Because(err)
	}
	return invalid(err, fieldOf(pg, "_fkey"), "not_found", "There is no such record.")
}

func invalid(err error, field, code, detail string) error {
	v := fault.Violation{Code: code, Detail: detail}
	if field != "" {
		v.Pointer = "/" + field
	}
	return fault.Values(v).Because(err)
}

// fieldOf is the column that a constraint's name ends with.
func fieldOf(pg *pgconn.PgError, suffixes ...string) string {
	name := pg.ConstraintName
	for _, suffix := range suffixes {
		if rest, ok := strings.CutSuffix(name, suffix); ok {
			name = rest
			break
		}
	}
	name = strings.TrimPrefix(name, pg.TableName)
	name = strings.TrimPrefix(strings.TrimPrefix(name, "_"), "tenant_id_")
	if name == "" {
		return "id"
	}
	return name
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// isOutage says whether the database could not be reached, or the connection broke.
func isOutage(err error) bool {
	var (
		connect *pgconn.ConnectError
		network net.Error
	)
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE)
}
