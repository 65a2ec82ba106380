// Package tenants owns the customers of the product: their name, their time zone and whether they may work.
//
// A tenant reads and changes its own row; its state is the operators'. It never knows who belongs to a tenant (members
// does) nor what a tenant has.
package tenants

import (
	"context"
	"strings"
	"time"
	_ "time/tzdata" // a time zone must mean the same on every machine

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// State says whether a tenant may work.
type State string

// The states of a tenant.
const (
	Active    State = "active"
	Suspended State = "suspended"
)

// Tenant is an organization that uses the product.
type Tenant struct {
	ID    tenancy.ID `json:"id"`
	Name  string     `json:"name"`
	State State      `json:"state"`
	// TimeZone is an IANA name; the tenant's days and nights are counted in it.
	TimeZone  string    `json:"time_zone"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// IsActive says whether the tenant may work.
func (t Tenant) IsActive() bool { return t.State == Active }

// ErrSuspended is the answer to whoever wants to work in a suspended tenant.
func ErrSuspended() *fault.Error {
	return fault.New(fault.Forbidden, "tenant.suspended",
		"This organization is suspended. Switch to another one, or ask support.")
}

// Settings are what a tenant may change of itself.
type Settings struct {
	Name     string `json:"name" validate:"required,notblank,max=200,printable"`
	TimeZone string `json:"time_zone" validate:"required,max=64,timezone"`
}

// Store keeps tenants.
type Store interface {
	// FindTenant returns the scope's tenant.
	FindTenant(ctx context.Context, scope tenancy.Scope) (Tenant, error)
	// ChangeTenant loads the scope's tenant under a lock, lets change alter it, and saves it if something differs.
	ChangeTenant(ctx context.Context, scope tenancy.Scope, now time.Time, change func(*Tenant) error) (Tenant, error)
	// SetTenantState suspends or resumes a tenant on behalf of an operator.
	SetTenantState(ctx context.Context, scope tenancy.Scope, state State, now time.Time) (Tenant, error)
}

// Service reads and changes tenants.
type Service struct {
	store    Store
	validate validation.Validator
	now      func() time.Time
}

// NewService returns the service over a store.
func NewService(store Store, validate validation.Validator, now func() time.Time) *Service {
	return &Service{store: store, validate: validate, now: now}
}

// Find returns the scope's tenant.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope) (Tenant, error) {
	return s.store.FindTenant(ctx, scope)
}

// Change lets apply change the settings of the scope's tenant, checks them and returns the tenant. A change that changes
// nothing writes nothing.
func (s *Service) Change(ctx context.Context, scope tenancy.Scope, match resource.Match, apply func(*Settings) error,
) (Tenant, error) {
	return s.store.ChangeTenant(ctx, scope, s.moment(), func(t *Tenant) error {
		if err := match.Check(t.Version, "organization"); err != nil {
			return err
		}
		settings := Settings{Name: t.Name, TimeZone: t.TimeZone}
		if err := apply(&settings); err != nil {
			return err
		}
		settings.Name = strings.TrimSpace(settings.Name)
		if err := validation.Check(s.validate, settings); err != nil {
			return err
		}
		t.Name, t.TimeZone = settings.Name, settings.TimeZone
		return nil
	})
}

// Suspend stops a tenant: its next statement is refused on every replica, and its sessions and keys work again when
// it is resumed. It is for operators and asks for no permission.
func (s *Service) Suspend(ctx context.Context, tenant tenancy.ID, requestID string) (Tenant, error) {
	return s.setState(ctx, tenant, Suspended, requestID)
}

// Resume lets a suspended tenant work again.
func (s *Service) Resume(ctx context.Context, tenant tenancy.ID, requestID string) (Tenant, error) {
	return s.setState(ctx, tenant, Active, requestID)
}

func (s *Service) setState(ctx context.Context, tenant tenancy.ID, state State, requestID string) (Tenant, error) {
	if tenant == tenancy.SystemTenant {
		return Tenant{}, fault.New(fault.Conflict, "tenant.reserved", "The system's own tenant cannot be suspended.")
	}
	return s.store.SetTenantState(ctx, tenancy.AsSystem(tenant, requestID), state, s.moment())
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
