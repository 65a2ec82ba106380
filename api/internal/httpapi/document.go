package httpapi

import (
	"net/http"
	"reflect"

	"github.com/gin-gonic/gin"

	"github.com/groundwork-saas/groundwork/api/internal/openapi"
	"github.com/groundwork-saas/groundwork/api/internal/reference"
	"github.com/groundwork-saas/groundwork/api/internal/static"
	"github.com/groundwork-saas/groundwork/domain/apikeys"
	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/members"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/tenants"
	"github.com/groundwork-saas/groundwork/domain/users"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// Version is the API's, as its document says it. A change that breaks callers needs another base path.
const Version = "1.0.0"

// Document describes the table of routes in OpenAPI 3.1.
func (a *API) Document() *openapi.Document {
	definitions := map[string]*resource.Definition{}
	for _, s := range a.deps.Resources {
		definitions[s.Definition.Plural] = s.Definition
	}
	table := openapi.Table{
		Title: "Groundwork API", Version: Version, Base: Base,
		Capabilities: capabilities(),
		Names: map[reflect.Type]string{
			reflect.TypeFor[audit.Entry]():  "AuditEvent",
			reflect.TypeFor[audit.Change](): "AuditChange",
			// A suffix tells what is sent from what is answered: APIKeyInput, APIKeyPatch.
			reflect.TypeFor[apikeys.Key]():          "APIKey",
			reflect.TypeFor[apikeys.Input]():        "APIKey",
			reflect.TypeFor[apikeys.Label]():        "APIKey",
			reflect.TypeFor[createdKey]():           "CreatedAPIKey",
			reflect.TypeFor[members.RoleChange]():   "Member",
			reflect.TypeFor[tenants.Settings]():     "Tenant",
			reflect.TypeFor[users.Profile]():        "Me",
			reflect.TypeFor[belongingView]():        "OwnTenant",
			reflect.TypeFor[jobs.Progress]():        "JobProgress",
			reflect.TypeFor[webhooks.Endpoint]():    "WebhookEndpoint",
			reflect.TypeFor[webhooks.Input]():       "NewWebhookEndpoint",
			reflect.TypeFor[webhooks.Settings]():    "WebhookEndpointSettings",
			reflect.TypeFor[createdEndpoint]():      "CreatedWebhookEndpoint",
			reflect.TypeFor[webhooks.Rotation]():    "WebhookSecretRotation",
			reflect.TypeFor[webhooks.RateLimit]():   "WebhookRateLimit",
			reflect.TypeFor[webhooks.Health]():      "WebhookEndpointHealth",
			reflect.TypeFor[webhooks.Delivery]():    "WebhookDelivery",
			reflect.TypeFor[webhooks.Attempt]():     "WebhookAttempt",
			reflect.TypeFor[deliveryWithAttempts](): "WebhookDeliveryWithAttempts",
			reflect.TypeFor[webhooks.ReplayInput](): "WebhookReplay",
			reflect.TypeFor[replayStarted]():        "WebhookReplayStarted",
			reflect.TypeFor[sourceView]():           "WebhookSource",
			reflect.TypeFor[inbound.SourceInput]():  "WebhookSource",
			reflect.TypeFor[inbound.SourceChange](): "WebhookSource",
			reflect.TypeFor[inbound.Secret]():       "WebhookSecret",
			reflect.TypeFor[inbound.Event]():        "InboundEvent",
			reflect.TypeFor[inbound.ReplayInput]():  "InboundReplay",
			reflect.TypeFor[inbound.Replayed]():     "InboundReplayed",
			reflect.TypeFor[reports.Head]():         "ReportHead",
			reflect.TypeFor[reports.Change]():       "ReportChange",
			reflect.TypeFor[reports.Request]():      "NewReport",
			reflect.TypeFor[reports.Schedule]():     "ReportSchedule",
			reflect.TypeFor[reports.Input]():        "NewReportSchedule",
			reflect.TypeFor[reports.Settings]():     "ReportScheduleSettings",
			reflect.TypeFor[reports.Send]():         "ReportSending",
		},
		Enums: map[reflect.Type][]string{
			reflect.TypeFor[tenancy.ActorKind]():      {string(tenancy.User), string(tenancy.APIKey), string(tenancy.System)},
			reflect.TypeFor[tenants.State]():          {string(tenants.Active), string(tenants.Suspended)},
			reflect.TypeFor[jobs.State]():             textsOf(jobs.PublicStates()),
			reflect.TypeFor[webhooks.EndpointState](): {string(webhooks.Enabled), string(webhooks.Paused), string(webhooks.Disabled)},
			reflect.TypeFor[webhooks.DeliveryState](): textsOf(webhooks.DeliveryStates()),
			reflect.TypeFor[inbound.State]():          textsOf(inbound.States()),
		},
		Parameters: parameters(),
	}
	for i := range a.routes {
		table.Routes = append(table.Routes, describe(&a.routes[i], definitions))
	}
	return openapi.Build(table)
}

// mountDocument serves the document and the pages that are made of it; both are built here, once.
func (a *API) mountDocument(engine *gin.Engine) error {
	document := a.Document()
	data, err := document.JSON()
	if err != nil {
		return err
	}
	serve := func(path string, file *static.File, before ...gin.HandlerFunc) {
		handlers := append(before, func(g *gin.Context) { file.ServeHTTP(g.Writer, g.Request) })
		engine.GET(path, handlers...)
		engine.HEAD(path, handlers...)
	}
	serve("/openapi.json", static.New("application/json", data, 300))
	pages, err := reference.New(document, a.errorAliases())
	if err != nil {
		return err
	}
	policy := func(g *gin.Context) { g.Header("Content-Security-Policy", reference.Policy) }
	for path, file := range pages {
		serve(path, file, policy)
	}
	engine.GET("/docs/", func(g *gin.Context) { g.Redirect(http.StatusMovedPermanently, "/docs") })
	return nil
}

// errorAliases are the codes of resources' faults, by the name that they have in docs/errors.md.
func (a *API) errorAliases() map[string][]string {
	aliases := map[string][]string{}
	for _, s := range a.deps.Resources {
		d := s.Definition
		aliases["resource.not_found"] = append(aliases["resource.not_found"], d.Name+".not_found")
		aliases["resource.overlaps"] = append(aliases["resource.overlaps"], d.Name+".overlaps")
		for i := range d.Fields {
			if f := &d.Fields[i]; f.Unique {
				aliases["resource.field_taken"] = append(aliases["resource.field_taken"], d.Name+"."+f.Name+"_taken")
			}
		}
	}
	return aliases
}

func describe(r *Route, definitions map[string]*resource.Definition) openapi.Route {
	described := openapi.Route{
		Method: r.Method, Path: r.Template(), Permission: r.Permission, Summary: r.Summary, Status: r.Status,
		Body: r.Body, Answer: r.Answer, Patch: r.Patch, List: r.IsList, Secret: r.Secret, Versioned: r.Versioned,
		Upload: r.Upload, Binary: r.Binary, MaxBody: r.MaxBody, Params: r.Params, Filters: r.ReadsQuery && r.IsList,
		Resource: definitions[capability(r.Path)],
	}
	switch r.Access {
	case Public:
		described.Access = openapi.Public
	case Signed:
		described.Access = openapi.Session
	case Tenant:
		described.Access = openapi.Tenant
	}
	return described
}

// capability is the first part of a path.
func capability(path string) string {
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			return path[1:i]
		}
	}
	return path[1:]
}

// capabilities describe the groups of routes that are no resources.
func capabilities() map[string]openapi.Capability {
	return map[string]openapi.Capability{
		"auth": {
			Name:        "Sign-in",
			Description: "Sign up, sign in, and trade refresh tokens for the next access token. Attempts are limited by address and by account.",
		},
		"me":          {Name: "Account", Description: "Who you are: your name and password, your sessions, your organizations."},
		"tenant":      {Name: "Organization", Description: "The organization that your credential belongs to, and its roles."},
		"roles":       {Name: "Organization", Description: ""},
		"members":     {Name: "Members", Description: "Who belongs to the organization, and in what role."},
		"invitations": {Name: "Invitations", Description: "Ask people into the organization by e-mail; accept such an invitation."},
		"api-keys": {
			Name:        "API keys",
			Description: "Credentials for programs. A key may do what its scopes say, and is shown once, when it is made or rotated.",
		},
		"jobs": {
			Name: "Jobs",
			Description: "Work that is done in the background. What answers 202 names its job: read it until its state is `succeeded`, " +
				"`dead` or `cancelled`. Jobs that have ended are kept for a while.",
		},
		"webhook-sources": {
			Name: "Webhook sources",
			Description: "Addresses to which others, such as Stripe or GitHub, send webhooks. What arrives is verified, kept and answered, " +
				"and processed by a job.",
		},
		"inbound-events": {
			Name:        "Inbound events",
			Description: "What webhook sources received, and what became of it. Any of it can be processed again.",
		},
		"files": {
			Name: "Files",
			Description: "Upload, download and share files. Transfers are streamed, and take as long as they take while bytes move. " +
				"Their contents never change; deleted files stay in the trash for a while.",
		},
		"usage": {Name: "Organization", Description: ""},
		"exports": {
			Name: "Exports",
			Description: "Have records written into a file, as CSV, XLSX or JSON lines: those that a list's filters choose, as they all are " +
				"at one moment. It needs the permission to read them. A job makes the file; its result is `{file_id, rows}`.",
		},
		"webhook-endpoints": {
			Name: "Webhook endpoints",
			Description: "Servers of yours that are told of what happens, by Standard Webhooks. Each message is signed with the endpoint's " +
				"secret, which is shown once, when it is made or rotated.",
		},
		"webhook-deliveries": {
			Name: "Webhook deliveries",
			Description: "Each message to each endpoint, and how its attempts went. One that failed is tried for three days. They are kept " +
				"for 30 days.",
		},
		"reports": {
			Name: "Reports",
			Description: "What is true of a day of the organization's, made each night and kept as data. Data that comes late makes a new version, " +
				"which says what has changed. Each can be read as a page, or downloaded as PDF, workbook or table.",
		},
		"report-schedules": {
			Name:        "Report schedules",
			Description: "When reports are made, on the clocks of the organization's time zone, and which members are sent them by e-mail.",
		},
		"connectors": {
			Name: "Connectors",
			Description: "Keep records in step with another program's, by a schedule. A sync is a job. The credential is kept sealed and " +
				"never shown.",
		},
		"audit-events": {Name: "Audit", Description: "Who did what, and when, written together with each change and never altered."},
	}
}

// parameters describe the query parameters that are no fields of a resource.
func parameters() map[string]*openapi.Schema {
	text := func(description string) *openapi.Schema {
		most := int64(200)
		return &openapi.Schema{Type: openapi.Types{"string"}, MaxLength: &most, Description: description}
	}
	id := func(description string) *openapi.Schema {
		return &openapi.Schema{Type: openapi.Types{"string"}, Format: "uuid", Description: description}
	}
	moment := func(description string) *openapi.Schema {
		return &openapi.Schema{Type: openapi.Types{"string"}, Format: "date-time", Description: description}
	}
	oneOf := func(values []string) *openapi.Schema {
		schema := &openapi.Schema{Type: openapi.Types{"string"}}
		for _, value := range values {
			schema.Enum = append(schema.Enum, value)
		}
		return schema
	}
	day := func(description string) *openapi.Schema {
		return &openapi.Schema{Type: openapi.Types{"string"}, Format: "date", Description: description}
	}
	versions, format := oneOf([]string{"latest", "all"}), oneOf(textsOf(reports.Formats()))
	versions.Description = "latest: of each day the last version, as where it is left out; all: those too that were superseded."
	format.Description = "What it is answered as; html where it is left out."
	states := func(values []string) *openapi.Schema {
		return &openapi.Schema{
			Type: openapi.Types{"array"}, Items: oneOf(values), MaxItems: new(int64(len(values))),
			Description: "Only those in one of these states.",
		}
	}
	queue := oneOf(jobs.Queues())
	queue.Description = "Only those of this queue."
	return map[string]*openapi.Schema{
		"jobs.state":                     states(textsOf(jobs.PublicStates())),
		"jobs.kind":                      text("Only those of this kind, such as transfers.import."),
		"jobs.queue":                     queue,
		"jobs.from":                      moment("Only those that were enqueued then or later."),
		"jobs.to":                        moment("Only those that were enqueued before."),
		"action":                         text("Only this act, such as customer.updated."),
		"resource":                       text("Only what was done to records of this kind, such as customer."),
		"resource_id":                    id("Only what was done to this record."),
		"actor_id":                       id("Only what this user or API key did."),
		"from":                           moment("Only what was done then or later."),
		"to":                             moment("Only what was done before."),
		"purpose":                        text("Only those made for this: upload, export, errors, report."),
		"content_type":                   text("Only those that hold this, such as text/csv."),
		"token":                          {Type: openapi.Types{"string"}, MaxLength: new(int64(512)), Description: "The token of a link, which stands in its URL."},
		"webhook-deliveries.state":       states(textsOf(webhooks.DeliveryStates())),
		"webhook-deliveries.endpoint_id": id("Only those to this endpoint."),
		"webhook-deliveries.event_id":    id("Only those of this event."),
		"webhook-deliveries.type":        text("Only those of this type of event, such as order.paid, or of a group, such as order.*."),
		"webhook-deliveries.from":        moment("Only those that were made then or later."),
		"webhook-deliveries.to":          moment("Only those that were made before."),
		"inbound-events.state":           states(textsOf(inbound.States())),
		"inbound-events.source_id":       id("Only what this source received."),
		"inbound-events.type":            text("Only those of this type, such as invoice.paid, or invoice.* for several."),
		"inbound-events.from":            moment("Only those that were received then or later."),
		"inbound-events.to":              moment("Only those that were received before."),
		"reports.kind":                   text("Only those of this kind, such as daily_sales."),
		"reports.from":                   day("Only those of this day or later ones."),
		"reports.to":                     day("Only those of this day or earlier ones."),
		"reports.versions":               versions,
		"reports.format":                 format,
	}
}
