package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// insertEvents keeps events whose source has the version that they were taken by. %s locks the sources against a change
// where an event is held: whoever lets it go on then sees it.
const insertEvents = `
insert into inbound_events (tenant_id, id, source_id, provider, provider_event_id, type, state, occurred_at, received_at,
	job_id, size, request_id, headers, body)
select $1, a.id, a.source_id, a.provider, a.event_id, a.type, a.state, a.occurred_at, a.received_at, a.job_id, length(a.body),
	a.request_id, a.headers, a.body
  from unnest($2::text[]::uuid[], $3::text[]::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
	$9::timestamptz[], $10::timestamptz[], $11::text[]::uuid[], $12::text[], $13::text[]::jsonb[], $14::bytea[])
	as a (id, source_id, version, provider, event_id, type, state, occurred_at, received_at, job_id, request_id, headers, body)
  join %s s on s.tenant_id = $1 and s.id = a.source_id and s.version = a.version
on conflict (tenant_id, source_id, provider_event_id) do nothing
returning id`

// lockedSources reads the sources of a batch and keeps them from being changed.
const lockedSources = `(select w.tenant_id, w.id, w.version from webhook_sources w
	where w.tenant_id = $1 and w.id = any($3::text[]::uuid[]) for share)`

// InsertEvents keeps events, each once.
func (s *Inbound) InsertEvents(ctx context.Context, scope tenancy.Scope, arrivals []inbound.Arrival) ([]inbound.Fate, error) {
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return nil, err
	}
	columns, sources, err := arrivalColumns(arrivals)
	if err != nil {
		return nil, err
	}
	stored, err := all(tx, readID, fmt.Sprintf(insertEvents, sources), append([]any{scope.Tenant}, columns...)...)
	if err != nil {
		return nil, translate(err)
	}
	fates := make([]inbound.Fate, len(arrivals))
	isStored := map[tenancy.ID]bool{}
	for _, id := range stored {
		isStored[id] = true
	}
	if len(stored) == len(arrivals) {
		return fates, nil
	}
	versions, err := s.versions(tx, scope.Tenant, arrivals)
	if err != nil {
		return nil, err
	}
	for i, a := range arrivals {
		switch {
		case isStored[a.ID]:
		case versions[a.SourceID] == a.SourceVersion:
			fates[i] = inbound.Duplicate
		default:
			fates[i] = inbound.Outdated
		}
	}
	return fates, nil
}

// arrivalColumns are the arrivals as the statement's arrays, and how it reads their sources.
func arrivalColumns(arrivals []inbound.Arrival) (columns []any, sources string, err error) {
	n := len(arrivals)
	ids, sourceIDs, versions := make([]string, n), make([]string, n), make([]int64, n)
	providers, eventIDs, types, states := make([]string, n), make([]*string, n), make([]string, n), make([]string, n)
	occurred, received, jobs := make([]*time.Time, n), make([]time.Time, n), make([]*string, n)
	requests, headers, bodies := make([]string, n), make([]string, n), make([][]byte, n)
	sources = "webhook_sources"
	for i, a := range arrivals {
		ids[i], sourceIDs[i], versions[i] = a.ID.String(), a.SourceID.String(), a.SourceVersion
		providers[i], eventIDs[i], types[i], states[i] = a.Provider, a.ProviderEventID, a.Type, string(a.State)
		occurred[i], received[i], requests[i], bodies[i] = a.OccurredAt, a.ReceivedAt, a.RequestID, a.Body
		if bodies[i] == nil {
			bodies[i] = []byte{}
		}
		if a.JobID != nil {
			text := a.JobID.String()
			jobs[i] = &text
		}
		if headers[i], err = headersText(a.Event); err != nil {
			return nil, "", err
		}
		if a.State == inbound.Held {
			sources = lockedSources
		}
	}
	return []any{
		ids, sourceIDs, versions, providers, eventIDs, types, states, occurred, received, jobs, requests, headers, bodies,
	}, sources, nil
}

func headersText(e inbound.Event) (string, error) {
	text, err := json.Marshal(e.Headers)
	if err != nil {
		return "", fmt.Errorf("write an event's headers: %w", err)
	}
	if e.Headers == nil {
		return "{}", nil
	}
	return string(text), nil
}

// versions are those of the arrivals' sources now; a source that is gone has none.
func (s *Inbound) versions(tx *gorm.DB, tenant tenancy.ID, arrivals []inbound.Arrival) (map[tenancy.ID]int64, error) {
	type known struct {
		id      tenancy.ID
		version int64
	}
	ids := make([]string, len(arrivals))
	for i, a := range arrivals {
		ids[i] = a.SourceID.String()
	}
	list, err := all(tx, func(row scanner) (k known, err error) { return k, row.Scan(&k.id, &k.version) },
		"select s.id, s.version from webhook_sources s where s.tenant_id = $1 and s.id = any($2::text[]::uuid[])", tenant, ids)
	versions := make(map[tenancy.ID]int64, len(list))
	for _, k := range list {
		versions[k.id] = k.version
	}
	return versions, translate(err)
}

// InsertQuarantined keeps what did not verify, and the newest of a source's only, in one round trip.
func (s *Inbound) InsertQuarantined(ctx context.Context, scope tenancy.Scope, e inbound.Event, keep int) error {
	headers, err := headersText(e)
	if err != nil {
		return err
	}
	return s.Transact(ctx, scope, func(ctx context.Context) error {
		tx, err := s.tenant(ctx, scope)
		if err != nil {
			return err
		}
		err = Defer(tx, `insert into inbound_events
			(tenant_id, id, source_id, provider, type, state, error, received_at, size, request_id, headers, body)
			values ($1, $2, $3, $4, $5, 'quarantined', $6, $7, $8, $9, $10, $11)`,
			scope.Tenant, e.ID, e.SourceID, e.Provider, e.Type, e.Error, e.ReceivedAt, e.Size, e.RequestID, headers, e.Body)
		if err != nil {
			return err
		}
		return Defer(tx, `delete from inbound_events where tenant_id = $1 and id in (
			select q.id from inbound_events q where q.tenant_id = $1 and q.source_id = $2 and q.state = 'quarantined'
			order by q.id desc offset $3)`, scope.Tenant, e.SourceID, int64(keep))
	})
}

const inboundEventColumns = "e.tenant_id, e.id, e.source_id, e.provider, e.provider_event_id, e.type, e.state, e.error, e.occurred_at, " +
	"e.received_at, e.processed_at, e.attempts, e.job_id, e.size, e.request_id"

func inboundEventFields(e *inbound.Event) []any {
	return []any{
		&e.TenantID, &e.ID, &e.SourceID, &e.Provider, &e.ProviderEventID, &e.Type, &e.State, &e.Error, &e.OccurredAt,
		&e.ReceivedAt, &e.ProcessedAt, &e.Attempts, &e.JobID, &e.Size, &e.RequestID,
	}
}

func readInboundEvent(row scanner) (e inbound.Event, err error) {
	return e, row.Scan(inboundEventFields(&e)...)
}

func readWholeEvent(row scanner) (e inbound.Event, err error) {
	var headers []byte
	if err := row.Scan(append(inboundEventFields(&e), &headers, &e.Body)...); err != nil {
		return e, err
	}
	return e, json.Unmarshal(headers, &e.Headers)
}

// ListEvents returns events, newest first.
func (s *Inbound) ListEvents(ctx context.Context, scope tenancy.Scope, query inbound.Query) ([]inbound.Event, error) {
	k, err := newestFirst(query.Request)
	if err != nil {
		return nil, err
	}
	tx, err := s.tenant(ctx, scope)
	if err != nil {
		return nil, err
	}
	c := conditionsOn(scope.Tenant)
	c.selected(inbound.Selection{SourceID: query.SourceID, Type: query.Type, States: query.States, From: query.From, To: query.To})
	after := c.argument(k.after)
	list, err := all(tx, readInboundEvent, "select "+inboundEventColumns+" from inbound_events e where "+c.sql()+k.sql("e.id", after), c.arguments...)
	return list, translate(err)
}

// conditions are those on events, with their arguments.
type conditions struct {
	parts     []string
	arguments []any
}

func conditionsOn(tenant tenancy.ID) *conditions {
	return &conditions{parts: []string{"e.tenant_id = $1"}, arguments: []any{tenant}}
}

func (c *conditions) argument(value any) string {
	c.arguments = append(c.arguments, value)
	return fmt.Sprintf("$%d", len(c.arguments))
}

func (c *conditions) sql() string { return strings.Join(c.parts, " and ") }

// selected adds what a selection says. Ids are made as events are received, to which a bound on them holds the index;
// the hour covers clocks that differ.
func (c *conditions) selected(s inbound.Selection) {
	add := func(format string, value any) { c.parts = append(c.parts, fmt.Sprintf(format, c.argument(value))) }
	if !s.SourceID.IsZero() {
		add("e.source_id = %s", s.SourceID)
	}
	switch {
	case s.Type == "":
	case strings.Contains(s.Type, "*"):
		add("e.type like %s", likePattern(s.Type))
	default:
		add("e.type = %s", s.Type)
	}
	if len(s.States) == 1 {
		add("e.state = %s", string(s.States[0]))
	} else if len(s.States) > 1 {
		states := make([]string, len(s.States))
		for i, state := range s.States {
			states[i] = string(state)
		}
		add("e.state = any(%s::text[])", states)
	}
	if !s.From.IsZero() {
		add("e.received_at >= %[1]s::timestamptz and e.id >= uuid7_floor(%[1]s::timestamptz - interval '1 hour')", s.From)
	}
	if !s.To.IsZero() {
		add("e.received_at < %[1]s::timestamptz and e.id < uuid7_floor(%[1]s::timestamptz + interval '1 hour')", s.To)
	}
}

// likePattern is a pattern with "*" in the language of LIKE.
func likePattern(pattern string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`, `*`, `%`).Replace(pattern)
}

// FindEvent returns one event whole.
func (s *Inbound) FindEvent(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (inbound.Event, error) {
	return eventRows().findIn(ctx, s.tenanted, scope, id)
}

// eventRows are inbound events, whole.
func eventRows() rowsOf[inbound.Event] {
	return rowsOf[inbound.Event]{
		query: "select " + inboundEventColumns + ", e.headers, e.body from inbound_events e where e.tenant_id = $1", id: "e.id",
		read: readWholeEvent, missing: inbound.ErrNoEvent,
	}
}

// UpdateEvent changes what has become of an event.
func (s *Inbound) UpdateEvent(ctx context.Context, scope tenancy.Scope, id tenancy.ID,
	change func(ctx context.Context, e *inbound.Event) error,
) (after inbound.Event, err error) {
	err = s.Transact(ctx, scope, func(ctx context.Context) error {
		tx, err := s.tenant(ctx, scope)
		if err != nil {
			return err
		}
		before, err := eventRows().find(tx, scope.Tenant, id, " for no key update")
		if err != nil {
			return err
		}
		after = before
		if err := change(ctx, &after); err != nil {
			return err
		}
		if sameFate(before, after) {
			return nil
		}
		return Defer(tx, `update inbound_events set state = $3, error = $4, processed_at = $5, attempts = $6, job_id = $7
			where tenant_id = $1 and id = $2`,
			scope.Tenant, id, string(after.State), after.Error, after.ProcessedAt, after.Attempts, after.JobID)
	})
	return after, err
}

func sameFate(a, b inbound.Event) bool {
	return a.State == b.State && a.Error == b.Error && a.ProcessedAt == b.ProcessedAt && a.Attempts == b.Attempts && a.JobID == b.JobID
}
