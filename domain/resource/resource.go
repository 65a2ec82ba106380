// Package resource owns what every business record has in common.
//
// A resource is one struct with tags and one Definition; from them come the list with its filters, create, read, change,
// delete, restore, purge, history, the audit, the events and the permissions. Services are built on Definition and
// Service; transports mount them; stores keep them. Reflection over the struct happens once, in Define.
package resource

import (
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Base is embedded by every resource.
type Base struct {
	ID       tenancy.ID `json:"id"       gorm:"type:uuid;primaryKey"`
	TenantID tenancy.ID `json:"-"        gorm:"type:uuid;primaryKey"`
	// Version grows by one with each change; the ETag is made of it.
	Version   int64      `json:"version"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	DeletedAt *time.Time `json:"deleted_at"`
}

// Head returns the base, so that what is common can be read and written without knowing the resource.
func (b *Base) Head() *Base { return b }

// Entity is a pointer to a resource's struct.
type Entity interface{ Head() *Base }

// Normalizer is an entity that brings its values to one form before they are checked: trims, lower-cases.
type Normalizer interface{ Normalize() }

// Checker is an entity with rules that its tags cannot say.
type Checker interface{ Check() []fault.Violation }

// ChangeGuard is an entity whose state forbids some changes. It is called on the record as it was, with the record as
// it would be.
type ChangeGuard interface{ MayBecome(after Entity) error }

// DeleteGuard is an entity whose state forbids that it is deleted.
type DeleteGuard interface{ MayBeDeleted() error }

// Match is the version that a caller believes to be changing; 0 matches any.
type Match int64

func (m Match) check(b *Base, name string) error { return m.Check(b.Version, name) }

// Check returns a Stale fault where what is changed, the "customer" of that name, is at another version.
func (m Match) Check(version int64, name string) error {
	if m == 0 || int64(m) == version {
		return nil
	}
	return fault.New(fault.Stale, "version_mismatch",
		"The "+name+" has changed since you read it; read it again, then repeat the change with its new ETag.")
}
