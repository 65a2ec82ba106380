package main

import (
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/transfers"
	"github.com/groundwork-saas/groundwork/platform/validate"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// imports is what brings records of every resource in from files.
func (p *process) imports(kept *files.Service) *transfers.Imports {
	return transfers.NewImports(transfers.ImportNeeds{
		Resources: p.resources(), Files: kept, Store: postgres.NewImports(p.base.Router), Rights: p.rights(),
	})
}

// resources are the services of every resource.
func (p *process) resources() []*resource.Service {
	records := resource.Dependencies{
		Store: postgres.NewResources(p.base.Router), History: postgres.NewAudit(p.base.Router), Validator: validate.New(), Now: p.now,
	}
	var services []*resource.Service
	for _, d := range catalog.All() {
		services = append(services, resource.NewService(d, records))
	}
	return services
}
