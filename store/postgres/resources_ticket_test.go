package postgres_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/resource/resourcetest"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/store/storetest"
)

// A ticket is what declaring a resource costs: this struct, its definition, its table, and a line in the catalog.

type ticketStatus string

type ticket struct {
	resource.Base

	Code       string         `json:"code"        validate:"notblank,max=40,printable"       api:"filter,sort,unique,search"`
	Title      string         `json:"title"       validate:"notblank,max=200,printable"      api:"sort,search,scan"`
	Status     ticketStatus   `json:"status"      validate:"oneof=open pending closed"       api:"filter,sort,scan"`
	DueAt      *time.Time     `json:"due_at"                                                 api:"filter,sort"`
	PriceCents int64          `json:"price_cents" validate:"gte=0"                           api:"filter,sort"`
	Rating     *int64         `json:"rating"      validate:"omitempty,gte=1,lte=5"           api:"filter,sort,scan"`
	IsUrgent   bool           `json:"is_urgent"                                              api:"filter,scan"`
	IsPublic   *bool          `json:"is_public"                                              api:"filter,scan"`
	Reporter   *string        `json:"reporter"    validate:"omitempty,max=100,printable"     api:"filter,sort,scan,personal"`
	ParentID   *tenancy.ID    `json:"parent_id"                                              api:"filter,sort,scan"`
	ClosedAt   *time.Time     `json:"closed_at"                                              api:"readonly"`
	Tags       []string       `json:"tags"        validate:"max=50,unique,dive,max=64"       api:"filter"      gorm:"serializer:text_list"`
	Custom     map[string]any `json:"custom"      validate:"max=100"                         api:"filter,scan" gorm:"serializer:json"`
}

func ticketDefinition() *resource.Definition {
	return resource.Define[ticket](resource.Options{Name: "ticket", Plural: "tickets", DefaultSort: "-due_at"})
}

// Check says what no tag can: what is closed was closed at some time.
func (t *ticket) Check() []fault.Violation {
	if (t.Status == "closed") != (t.ClosedAt != nil) {
		return []fault.Violation{{Pointer: "/status", Code: "closed", Detail: "must be closed if, and only if, it was closed"}}
	}
	return nil
}

const ticketTable = `
CREATE TABLE tickets (
  tenant_id   uuid        NOT NULL,
  id          uuid        NOT NULL,
  version     bigint      NOT NULL,
  created_at  timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL,
  deleted_at  timestamptz,
  code        text        NOT NULL,
  title       text        NOT NULL,
  status      text        NOT NULL CHECK (status IN ('open', 'pending', 'closed')),
  due_at      timestamptz,
  price_cents bigint      NOT NULL CHECK (price_cents >= 0),
  rating      bigint,
  is_urgent   boolean     NOT NULL,
  is_public   boolean,
  reporter    text,
  parent_id   uuid,
  closed_at   timestamptz,
  tags        text[]      NOT NULL DEFAULT '{}',
  custom      jsonb       NOT NULL DEFAULT '{}',
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX tickets_code_key ON tickets (tenant_id, code) WHERE deleted_at IS NULL;
CREATE INDEX tickets_code_idx ON tickets (tenant_id, code, id);
CREATE INDEX tickets_due_at_idx ON tickets (tenant_id, greatest(due_at, '-infinity'), id);
CREATE INDEX tickets_price_cents_idx ON tickets (tenant_id, price_cents, id);
CREATE INDEX tickets_created_at_idx ON tickets (tenant_id, created_at, id);
CREATE INDEX tickets_updated_at_idx ON tickets (tenant_id, updated_at, id);
CREATE INDEX tickets_deleted_at_idx ON tickets (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
SELECT protect_tenant_table('tickets');
SELECT make_searchable('tickets', ARRAY['code', 'title'], ARRAY['tags']);`

func ticketSubject() resourcetest.Subject {
	parents := []tenancy.ID{tenancy.NewID(), tenancy.NewID(), tenancy.NewID()}
	day := func(n int) *time.Time {
		at := time.Date(2026, 10, 25+n, 2, 30, 0, 987_654_321, time.FixedZone("", -5*3600))
		return &at
	}
	return resourcetest.Subject{
		Definition: ticketDefinition(),
		Make: func(n int) resource.Entity {
			t := &ticket{
				Code: fmt.Sprintf("T%03d", n), Title: fmt.Sprintf("title %c", 'z'-n%7), Status: "open",
				PriceCents: int64(n%5) * 1_000_000_000_000, IsUrgent: n%2 == 0, Tags: tags(n),
				Custom: map[string]any{"color": color(n), "weight": json.Number("1.5e1"), "ok": n%2 == 1, "n": n % 3},
			}
			switch n % 6 {
			case 0:
				t.Status, t.ClosedAt = "closed", day(0)
			case 1:
				t.Status = "pending"
			case 3:
				t.IsPublic, t.Reporter = new(false), new("") // '' is where NULL is in an order
			case 4:
				t.ParentID, t.IsPublic, t.Reporter = &parents[n%3], new(true), new(fmt.Sprintf("reporter %d", n%4))
			case 5:
				t.ParentID, t.ClosedAt, t.Status = &parents[0], day(n), "closed"
			}
			if n%4 != 0 {
				t.DueAt = day(n % 5)
			}
			if n%3 != 0 {
				t.Rating = new(int64(n%5 + 1))
			}
			return t
		},
		Change: func(e resource.Entity, n int) {
			t, _ := e.(*ticket)
			t.Title, t.PriceCents, t.IsUrgent, t.Reporter = fmt.Sprintf("changed %d", n), int64(n), !t.IsUrgent, new(fmt.Sprintf("changer %d", n))
			if t.DueAt = nil; n%2 == 0 {
				t.DueAt = day(365 + n)
			}
			t.Custom = map[string]any{"weight": json.Number("2E-3"), "n": n}
		},
		Invalid: func() map[string]resource.Entity {
			return map[string]resource.Entity{
				"/title":       &ticket{Code: "c", Status: "open"},
				"/price_cents": &ticket{Code: "c", Title: "t", Status: "open", PriceCents: -1},
				"/status":      &ticket{Code: "c", Title: "t", Status: "closed"},
			}
		},
	}
}

// ticketStack is a database that has tickets.
func ticketStack(t *testing.T) *storetest.Stack {
	t.Helper()
	stack := storetest.New(t)
	_, err := stack.Admin(t).PgConn().Exec(t.Context(), "SET ROLE groundwork_owner;"+ticketTable).ReadAll()
	require.NoError(t, err)
	return stack
}

func TestDeclaredResource(t *testing.T) {
	t.Parallel()
	resourcetest.Run(t, over(t, ticketStack(t), ticketSubject()))
}
