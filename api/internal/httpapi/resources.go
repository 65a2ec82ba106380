package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// resourceRoutes are the routes that every resource has.
func resourceRoutes(s *resource.Service) []Route {
	h := resourceHandler{service: s, def: s.Definition}
	d := s.Definition
	root, one := "/"+d.Plural, "/"+d.Plural+"/:id"
	read, write, remove := d.Plural+":read", d.Plural+":write", d.Plural+":delete"
	e, a := d.New(), withArticle(d.Name)
	routes := []Route{
		{
			Method: http.MethodGet, Path: root, Access: Tenant, Permission: read, Status: http.StatusOK, ReadsQuery: true,
			Summary: "List " + d.Plural, Answer: e, IsList: true, Handle: h.list,
		},
		{
			Method: http.MethodPost, Path: root, Access: Tenant, Permission: write, Status: http.StatusCreated,
			Summary: "Create " + a, Body: e, Answer: e, Handle: h.create,
		},
		{
			Method: http.MethodGet, Path: one, Access: Tenant, Permission: read, Status: http.StatusOK,
			Params: []string{"fields", "trashed", "expand"}, Summary: "Read " + a, Answer: e, Handle: h.find,
		},
		{
			Method: http.MethodPatch, Path: one, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: "Change " + a, Body: e, Patch: true, Answer: e, Handle: h.change,
		},
		{
			Method: http.MethodDelete, Path: one, Access: Tenant, Permission: remove, Status: http.StatusNoContent,
			Summary: "Move " + a + " to the trash", Handle: withMatch(s.Delete),
		},
		{
			Method: http.MethodPost, Path: one + "/restore", Access: Tenant, Permission: remove, Status: http.StatusOK,
			Summary: "Take " + a + " out of the trash", Answer: e, Handle: h.restore,
		},
		{
			Method: http.MethodGet, Path: one + "/history", Access: Tenant, Permission: read, Status: http.StatusOK,
			Params: pageParameters(), Summary: "List what was done to " + a, Answer: audit.Entry{}, IsList: true,
			Handle: h.history,
		},
		{
			Method: http.MethodPost, Path: root + "/bulk", Access: Tenant, Permission: write, Status: http.StatusOK,
			MaxBody: maxBulkBody, Summary: "Create, change or delete many " + d.Plural, Body: bulkInput{}, Answer: bulkAnswer{},
			Handle: h.bulk,
		},
	}
	for _, act := range d.Acts {
		routes = append(routes, Route{
			Method: http.MethodPost, Path: one + "/" + act.Name, Access: Tenant, Permission: write, Status: http.StatusOK,
			Summary: strings.ToUpper(act.Name[:1]) + act.Name[1:] + " " + a, Answer: e, Handle: h.perform(act),
		})
	}
	return routes
}

// withArticle is a name as it stands in a sentence: "a customer", "an order", "a purchase order".
func withArticle(name string) string {
	article := "a "
	if strings.ContainsRune("aeio", rune(name[0])) {
		article = "an "
	}
	return article + strings.ReplaceAll(name, "_", " ")
}

type resourceHandler struct {
	service *resource.Service
	def     *resource.Definition
}

func (h resourceHandler) list(c *Call) error {
	q, err := h.query(c)
	if err != nil {
		return err
	}
	name := h.def.Plural + "?" + q.Canonical
	if err := c.cursors.open(c.Scope, name, q.Cursor, &q.Request); err != nil {
		return err
	}
	p, err := h.service.List(c.Context(), c.Scope, q)
	if err != nil {
		return err
	}
	expanded, err := h.service.Expand(c.Context(), c.Scope, q.Expand, p.Items)
	if err != nil {
		return err
	}
	return answerPage(c, name, p, func(e resource.Entity) any { return h.shape(e, q.Fields, expanded) })
}

// query reads the parameters. Who may not read what a record refers to may not have it answered beside the record.
func (h resourceHandler) query(c *Call) (resource.Query, error) {
	q, err := h.def.ParseQuery(c.Query())
	if err != nil {
		return q, err
	}
	for _, name := range q.Expand {
		if permission := h.def.References()[name].References.Plural + ":read"; !c.Scope.Actor.May(permission) {
			return q, permissionDenied(permission)
		}
	}
	return q, nil
}

func (h resourceHandler) create(c *Call) error {
	e := h.def.New()
	if err := c.Decode(e); err != nil {
		return err
	}
	if err := h.service.Create(c.Context(), c.Scope, e); err != nil {
		return err
	}
	return c.answerMade("/"+h.def.Plural, e.Head().ID, e.Head().Version, e)
}

func (h resourceHandler) find(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	q, err := h.query(c)
	if err != nil {
		return err
	}
	e, err := h.service.Find(c.Context(), c.Scope, id, q.Trash)
	if err != nil {
		return err
	}
	if q.Fields != nil || q.Expand != nil {
		expanded, err := h.service.Expand(c.Context(), c.Scope, q.Expand, []resource.Entity{e})
		if err != nil {
			return err
		}
		return c.Answer(http.StatusOK, h.shape(e, q.Fields, expanded))
	}
	return c.answerUnlessKnown(e.Head().Version, e)
}

func (h resourceHandler) change(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	e, err := h.service.Change(c.Context(), c.Scope, id, match, func(e resource.Entity) error { return c.Merge(e) })
	if err != nil {
		return err
	}
	return c.answerRecord(e.Head().Version, e)
}

func (h resourceHandler) restore(c *Call) error {
	id, match, err := c.target()
	if err != nil {
		return err
	}
	e, err := h.service.Restore(c.Context(), c.Scope, id, match)
	if err != nil {
		return err
	}
	return c.answerRecord(e.Head().Version, e)
}

func (h resourceHandler) history(c *Call) error {
	id, err := c.ID("id")
	if err != nil {
		return err
	}
	return answerList(c.list(h.def.Plural+"/"+id.String()+"/history"), func(request page.Request) (page.Page[audit.Entry], error) {
		return h.service.History(c.Context(), c.Scope, id, request)
	}, itself)
}

// perform is the handler of an act.
func (h resourceHandler) perform(act resource.Act) func(*Call) error {
	return func(c *Call) error {
		id, match, err := c.target()
		if err != nil {
			return err
		}
		e, err := h.service.Perform(c.Context(), c.Scope, id, match, act)
		if err != nil {
			return err
		}
		return c.answerRecord(e.Head().Version, e)
	}
}

// shape keeps the fields that were asked for, nil keeps all, and adds what the record refers to.
func (h resourceHandler) shape(e resource.Entity, fields []string, expanded resource.Expanded) any {
	if fields == nil && len(expanded) == 0 {
		return e
	}
	out := map[string]any{"id": e.Head().ID}
	for i := range h.def.Fields {
		if f := &h.def.Fields[i]; fields == nil || slices.Contains(fields, f.Name) {
			out[f.Name] = f.Value(e)
		}
	}
	references := h.def.References()
	for name, records := range expanded {
		out[name] = nil
		if id, ok := references[name].Value(e).(tenancy.ID); ok {
			out[name] = records[id]
		}
	}
	return out
}

// onlyKnown returns the first parameter that is not among the known ones, or "".
func onlyKnown(params map[string][]string, known ...string) string {
	for name := range params {
		if !slices.Contains(known, name) {
			return name
		}
	}
	return ""
}

func unknownParameter(name string, known []string) error {
	if len(known) == 0 {
		return badParameter(name, "unknown_parameter", "is not known here; this takes no parameters")
	}
	return badParameter(name, "unknown_parameter", "is not known here; parameters are: "+strings.Join(known, ", "))
}

func badParameter(name, code, detail string) error {
	return &fault.Error{
		Kind: fault.Malformed, Code: "invalid_query", Detail: "One or more query parameters are not valid; see errors.",
		Violations: []fault.Violation{{Pointer: name, Code: code, Detail: detail}},
	}
}
