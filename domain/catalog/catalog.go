// Package catalog lists the product's resources: a resource that is named here is served, audited and permitted.
package catalog

import (
	"github.com/groundwork-saas/groundwork/domain/customers"
	"github.com/groundwork-saas/groundwork/domain/orders"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// All returns the definitions of every resource.
func All() []*resource.Definition {
	return []*resource.Definition{
		customers.Definition(),
		orders.Definition(),
	}
}

// Permissions returns what may be granted on the resources.
func Permissions() []string {
	var permissions []string
	for _, d := range All() {
		permissions = append(permissions, d.Permissions()...)
	}
	return permissions
}

// EventTypes returns the types of events that the resources have.
func EventTypes() []string {
	var types []string
	for _, d := range All() {
		for _, done := range []string{resource.Created, resource.Updated, resource.Deleted, resource.Restored} {
			types = append(types, d.Name+"."+done)
		}
		for _, act := range d.Acts {
			types = append(types, d.Name+"."+act.Done)
		}
	}
	return types
}
