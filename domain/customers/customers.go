// Package customers owns who a tenant sells to. It is part of the sample business, which a product team replaces.
package customers

import (
	"strings"

	"github.com/groundwork-saas/groundwork/domain/resource"
)

// Customer is somebody the tenant sells to.
type Customer struct {
	resource.Base
	Code   *string        `json:"code"   validate:"omitempty,max=40,printable"           api:"filter,unique,search"`
	Name   string         `json:"name"   validate:"notblank,max=200,printable"           api:"filter,sort,search"`
	Email  *string        `json:"email"  validate:"omitempty,email,max=254"              api:"filter,unique,search,personal"`
	Tags   []string       `json:"tags"   validate:"max=50,unique,dive,notblank,max=64,printable" api:"filter" gorm:"serializer:text_list"`
	Custom map[string]any `json:"custom" validate:"max=100"                              api:"filter"        gorm:"serializer:json"`
}

// Definition declares the resource.
func Definition() *resource.Definition {
	return resource.Define[Customer](resource.Options{
		Name: "customer", Plural: "customers",
		Aliases: map[string][]string{
			"code": {"customer id", "customer number"}, "name": {"customer", "company", "company name"}, "email": {"e-mail address", "mail"},
		},
		Example: &Customer{
			Code: new("ALFKI"), Name: "Alfreds Futterkiste", Email: new("maria.anders@example.com"),
			Tags: []string{"vip", "wholesale"}, Custom: map[string]any{"color": "red"},
		},
	})
}

// Normalize trims what people type and lower-cases the e-mail address, so that it is unique whatever its case.
func (c *Customer) Normalize() {
	c.Name = strings.TrimSpace(c.Name)
	c.Code = trimmed(c.Code)
	if c.Email = trimmed(c.Email); c.Email != nil {
		*c.Email = strings.ToLower(*c.Email)
	}
}

// trimmed takes what is blank for what is not given.
func trimmed(s *string) *string {
	if s == nil {
		return nil
	}
	t := strings.TrimSpace(*s)
	if t == "" {
		return nil
	}
	return &t
}
