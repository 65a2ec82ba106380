package tenancy

import (
	"database/sql/driver"
	"fmt"

	"github.com/google/uuid"
)

// ID is a UUID; those made here are version 7 (RFC 9562), which sort by the time they were made.
type ID uuid.UUID

// NewID returns an ID that sorts after those made before it, to the millisecond.
func NewID() ID { return ID(uuid.Must(uuid.NewV7())) }

// ParseID reads the 36-character form of RFC 9562 and no other (no braces, no urn:uuid:), so that one record has
// one address.
func ParseID(s string) (ID, error) {
	if len(s) != 36 {
		return ID{}, fmt.Errorf("an id has 36 characters, not %d", len(s))
	}
	u, err := uuid.Parse(s)
	if err != nil {
		return ID{}, fmt.Errorf("parse id: %w", err)
	}
	return ID(u), nil
}

// MustParseID is ParseID for ids that are known when the program is written; it panics where they are wrong.
func MustParseID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// IsZero says whether no id was set.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the 36-character form, in lower case.
func (id ID) String() string { return uuid.UUID(id).String() }

// MarshalText writes the 36-character form.
func (id ID) MarshalText() ([]byte, error) { return uuid.UUID(id).MarshalText() } //nolint:wrapcheck // it cannot fail

// UnmarshalText is ParseID.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// Value is the id as a database takes it.
func (id ID) Value() (driver.Value, error) { return id.String(), nil }

// Scan reads what a database gives: text, or the 16 bytes.
func (id *ID) Scan(src any) error {
	if err := (*uuid.UUID)(id).Scan(src); err != nil {
		return fmt.Errorf("scan id: %w", err)
	}
	return nil
}
