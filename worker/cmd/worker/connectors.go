package main

import (
	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/connectors/rest"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// connectors is what keeps records in step with those of other programs.
func (p *process) connectors() (*connectors.Runner, error) {
	fetcher, err := backend.NewFetcher(p.cfg.WebhookAllow, p.cfg.Environment)
	if err != nil {
		return nil, err
	}
	return connectors.NewRunner(connectors.RunnerNeeds{
		Store: postgres.NewConnectors(p.base.Router), Sealer: p.base.Sealer, Resources: p.resources(), Now: p.now,
		Kinds: []connectors.Kind{rest.New(fetcher, p.now)},
	}), nil
}
