package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/validation"
)

// Needs is what the service works with.
type Needs struct {
	Store     Store
	Queue     jobs.Queue
	Waiting   jobs.Amender
	Sealer    Sealer
	Kinds     []Kind
	Resources []*resource.Definition
	Validate  validation.Validator
	Now       func() time.Time
}

// Service is what a tenant does with its connectors.
type Service struct{ needs Needs }

// NewService returns the service.
func NewService(needs Needs) *Service { return &Service{needs: needs} }

// Input is a connector that is wanted.
type Input struct {
	Kind     string `json:"kind" validate:"required,max=40" example:"rest" doc:"What sort of source it is: rest."`
	Resource string `json:"resource" validate:"required,max=100" example:"customers" doc:"The resource whose records are kept in step, in the plural."`

	Name              string         `json:"name" validate:"notblank,max=100,printable" example:"CRM"`
	URL               string         `json:"url" validate:"required,max=2048" example:"https://crm.example.com/api/contacts" doc:"Where the records are read: https, a public host. It is shown; a credential goes into auth_value."`
	AuthHeader        *string        `json:"auth_header" validate:"omitempty,max=100" example:"Authorization" doc:"The header that the credential is sent in."`
	AuthValue         *string        `json:"auth_value" validate:"omitempty,max=4096" example:"Bearer 0a1b2c" doc:"The credential, as the header has it. It is kept sealed and never shown."`
	Settings          map[string]any `json:"settings" doc:"How the source is read; see docs/connectors.md."`
	By                string         `json:"by" validate:"required,max=100" example:"code" doc:"The unique field that records are known by."`
	Mapping           map[string]any `json:"mapping" doc:"From which value of the source each field comes, as in an import: paths such as address.city take the place of columns."`
	Schedule          *Schedule      `json:"schedule" doc:"When it syncs by itself; left out for only when it is asked to."`
	RequestsPerMinute *int64         `json:"requests_per_minute" validate:"omitempty,min=1,max=6000" doc:"How often the source may be asked, 1 to 6000; 60 where it is left out."`
	DeleteMissing     bool           `json:"delete_missing" doc:"Whether records are deleted that it brought in and that the source does not have any more."`
	FullEveryHours    *int64         `json:"full_every_hours" validate:"omitempty,min=0,max=8760" doc:"How many hours after the last complete reading everything is read again, 0 for never by itself; 24 where it is left out."`
	Paused            bool           `json:"paused" doc:"A paused connector does not sync."`
}

// Settings are what can be changed of a connector.
type Settings struct {
	Name              string         `json:"name" validate:"notblank,max=100,printable" example:"CRM"`
	URL               string         `json:"url" validate:"required,max=2048" example:"https://crm.example.com/api/contacts" doc:"Where it leads to another host, auth_value must be sent again."`
	AuthHeader        *string        `json:"auth_header" validate:"omitempty,max=100" example:"Authorization" doc:"The header that the credential is sent in; null takes the credential away."`
	AuthValue         *string        `json:"auth_value" validate:"omitempty,max=4096" example:"Bearer 0a1b2c" doc:"Another credential. It is kept sealed and never shown."`
	Settings          map[string]any `json:"settings" doc:"How the source is read; see docs/connectors.md."`
	By                string         `json:"by" validate:"required,max=100" example:"code" doc:"The unique field that records are known by."`
	Mapping           map[string]any `json:"mapping" doc:"From which value of the source each field comes."`
	Schedule          *Schedule      `json:"schedule" doc:"When it syncs by itself; null for only when it is asked to."`
	RequestsPerMinute int64          `json:"requests_per_minute" validate:"min=1,max=6000" doc:"How often the source may be asked, 1 to 6000."`
	DeleteMissing     bool           `json:"delete_missing" doc:"Whether records are deleted that it brought in and that the source does not have any more."`
	FullEveryHours    int64          `json:"full_every_hours" validate:"min=0,max=8760" doc:"How many hours after the last complete reading everything is read again; 0 for never by itself."`
	Paused            bool           `json:"paused" doc:"A paused connector does not sync."`
}

func (in Input) settings() Settings {
	s := Settings{
		Name: in.Name, URL: in.URL, AuthHeader: in.AuthHeader, AuthValue: in.AuthValue, Settings: in.Settings, By: in.By, Mapping: in.Mapping,
		Schedule: in.Schedule, DeleteMissing: in.DeleteMissing, Paused: in.Paused, RequestsPerMinute: 60, FullEveryHours: 24,
	}
	if in.RequestsPerMinute != nil {
		s.RequestsPerMinute = *in.RequestsPerMinute
	}
	if in.FullEveryHours != nil {
		s.FullEveryHours = *in.FullEveryHours
	}
	return s
}

// Create makes a connector. Where it has a schedule it syncs at once, and by the schedule from then on.
func (s *Service) Create(ctx context.Context, scope tenancy.Scope, in Input) (Connector, error) {
	now := s.moment()
	c := Connector{
		TenantID: scope.Tenant, ID: tenancy.NewID(), Kind: in.Kind, Resource: in.Resource, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if err := s.apply(ctx, scope, &c, in.settings(), validation.Violations(s.needs.Validate, in)); err != nil {
		return Connector{}, err
	}
	return c, s.needs.Store.CreateConnector(ctx, scope, c)
}

// List returns one page, newest first.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, request page.Request) (page.Page[Connector], error) {
	request = request.Normalized()
	rows, err := s.needs.Store.ListConnectors(ctx, scope, request)
	if err != nil {
		return page.Page[Connector]{}, err
	}
	return page.Of(rows, request, func(c Connector) page.Position { return page.Position{c.ID.String()} }), nil
}

// Find returns one connector.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (Connector, error) {
	return s.needs.Store.FindConnector(ctx, scope, id)
}

// Change lets apply alter the settings; it may be called more than once. A sync that is under way begins again with them.
func (s *Service) Change(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match, apply func(*Settings) error) (Connector, error) {
	alter := func(c *Connector) error {
		if err := match.Check(c.Version, "connector"); err != nil {
			return err
		}
		settings := Settings{
			Name: c.Name, URL: c.URL, AuthHeader: c.AuthHeader, Settings: maps.Clone(c.Settings), By: c.By, Mapping: maps.Clone(c.Mapping),
			Schedule: c.Schedule, RequestsPerMinute: c.RequestsPerMinute, DeleteMissing: c.DeleteMissing, FullEveryHours: c.FullEveryHours, Paused: c.Paused,
		}
		if c.Schedule != nil {
			settings.Schedule = new(*c.Schedule)
		}
		if err := apply(&settings); err != nil {
			return err
		}
		return s.apply(ctx, scope, c, settings, validation.Violations(s.needs.Validate, settings))
	}
	// Once on a copy, so that the look-up of a new host's name does not hold the connector.
	copied, err := s.needs.Store.FindConnector(ctx, scope, id)
	if err != nil {
		return Connector{}, err
	}
	if err := alter(&copied); err != nil {
		return Connector{}, err
	}
	return s.needs.Store.ChangeConnector(ctx, scope, id, s.moment(), alter)
}

// Delete removes a connector. The records that it brought in stay.
func (s *Service) Delete(ctx context.Context, scope tenancy.Scope, id tenancy.ID, match resource.Match) error {
	return s.needs.Store.DeleteConnector(ctx, scope, id, s.moment(), func(c Connector) error {
		return match.Check(c.Version, "connector")
	})
}

// SyncInput is a sync that somebody asks for.
type SyncInput struct {
	Full           bool `json:"full" doc:"Reads everything, whatever the source says has changed."`
	AllowDeletions bool `json:"allow_deletions" doc:"Deletes what is missing at the source even where that is most of what there is."`
}

// maxJoins bounds how often a sync is joined that ends meanwhile.
const maxJoins = 5

// Sync has a connector synced by a job. Where one waits already it is that one, which does what is asked for as well. Where
// one runs it is that one, if it does all of it; else it is Conflict "connector.syncing".
func (s *Service) Sync(ctx context.Context, scope tenancy.Scope, id tenancy.ID, in SyncInput) (jobs.Enqueued, error) {
	c, err := s.needs.Store.FindConnector(ctx, scope, id)
	if err != nil {
		return jobs.Enqueued{}, err
	}
	if err := may(scope, c); err != nil {
		return jobs.Enqueued{}, err
	}
	if c.Paused {
		return jobs.Enqueued{}, errPaused()
	}
	args := SyncArgs{ConnectorID: id, Full: in.Full, AllowDeletions: in.AllowDeletions}
	for range maxJoins {
		done, err := jobs.Enqueue(ctx, s.needs.Queue, scope, args)
		if err != nil || !done.Existed {
			return done, err
		}
		isOver, err := s.join(ctx, scope, done.ID, args)
		if err != nil || !isOver {
			return done, err
		}
	}
	return jobs.Enqueued{}, errSyncing()
}

// join has a sync that was asked for before do what is asked for now as well. isOver says that it has ended meanwhile.
func (s *Service) join(ctx context.Context, scope tenancy.Scope, job tenancy.ID, wanted SyncArgs) (isOver bool, err error) {
	if !wanted.Full && !wanted.AllowDeletions {
		return false, nil // any sync does
	}
	found, err := s.needs.Waiting.AmendJob(ctx, scope, job, func(data json.RawMessage) (json.RawMessage, error) {
		var has SyncArgs
		if err := json.Unmarshal(data, &has); err != nil {
			return nil, fmt.Errorf("read the arguments of a sync: %w", err)
		}
		has.Full, has.AllowDeletions = has.Full || wanted.Full, has.AllowDeletions || wanted.AllowDeletions
		return json.Marshal(has)
	})
	switch {
	case fault.KindOf(err) == fault.NotFound && err != nil, err == nil && found.State.IsFinal():
		return true, nil
	case err != nil:
		return false, err
	}
	var has SyncArgs
	if err := json.Unmarshal(found.Args, &has); err != nil {
		return false, fmt.Errorf("read the arguments of a sync: %w", err)
	}
	if wanted.Full && !has.Full || wanted.AllowDeletions && !has.AllowDeletions {
		return false, errSyncing()
	}
	return false, nil
}

// may says whether the actor may do by a connector what the connector does.
func may(scope tenancy.Scope, c Connector) error {
	needed := []string{c.Resource + ":write"}
	if c.DeleteMissing {
		needed = append(needed, c.Resource+":delete")
	}
	for _, permission := range needed {
		if !scope.Actor.May(permission) {
			return fault.New(fault.Forbidden, "permission_denied",
				"This needs the permission "+permission+", which you do not have here; ask an administrator of the organization.")
		}
	}
	return nil
}

func (s *Service) seal(c *Connector, value string) (err error) {
	if c.AuthSealed, err = s.needs.Sealer.Seal([]byte(value), authBinding(*c)); err != nil {
		return fmt.Errorf("seal a connector's credential: %w", err)
	}
	return nil
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.needs.Now().UTC().Truncate(time.Microsecond) }
