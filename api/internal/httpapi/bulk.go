package httpapi

import (
	"fmt"
	"net/http"

	"github.com/groundwork-saas/groundwork/api/internal/body"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// maxBulkBody is how large a bulk may be, in bytes.
const maxBulkBody = 8 << 20

// bulkInput is a bulk without its items.
type bulkInput struct {
	Mode   string `json:"mode"   validate:"required,oneof=create update upsert delete"`
	Atomic bool   `json:"atomic"`
	// By is the unique field that an upsert goes by.
	By *string `json:"by"`
}

// bulkAnswer tells what came of each item, in the order in which they were sent.
type bulkAnswer struct {
	Results []bulkResult `json:"results"`
}

type bulkResult struct {
	Status int             `json:"status"`
	Data   resource.Entity `json:"data,omitempty"`
	Error  *problem        `json:"error,omitempty"`
}

func (h resourceHandler) bulk(c *Call) error {
	var in bulkInput
	data, err := c.readBody("application/json")
	if err != nil {
		return err
	}
	items, err := body.Items(data, "items", &in)
	if err != nil {
		return err
	}
	b, err := h.readBulk(c, in, len(items))
	if err != nil {
		return err
	}
	history := c.Scope.Actor.May(h.def.BackfillPermission())
	b.Items = make([]resource.BulkItem, len(items))
	for i, item := range items {
		b.Items[i] = bulkItem(b.Mode, item, history)
	}
	results, err := h.service.Bulk(c.Context(), c.Scope, b)
	if err != nil {
		return err
	}
	return h.answerBulk(c, b, results)
}

func (h resourceHandler) readBulk(c *Call, in bulkInput, items int) (resource.Bulk, error) {
	b := resource.Bulk{Mode: resource.BulkMode(in.Mode), Atomic: in.Atomic}
	bad := func(name, code, detail string) error {
		return fault.Values(fault.Violation{Pointer: "/" + name, Code: code, Detail: detail})
	}
	switch b.Mode {
	case resource.BulkCreate, resource.BulkUpdate, resource.BulkUpsert, resource.BulkDelete:
	default:
		return b, bad("mode", "oneof", "must be one of: create, update, upsert, delete")
	}
	if items < 1 || items > resource.MaxBulk {
		return b, bad("items", "max", fmt.Sprintf("must be 1 to %d, not %d; send more in several requests, or import them", resource.MaxBulk, items))
	}
	if (in.By != nil) != (b.Mode == resource.BulkUpsert) {
		return b, bad("by", "required", "names the unique field that an upsert goes by, and goes with that mode alone")
	}
	if in.By != nil {
		if b.By = h.def.Field(*in.By); b.By == nil || !b.By.Unique {
			return b, bad("by", "oneof", "is no unique field of a "+h.def.Name)
		}
	}
	if permission := h.def.Plural + ":delete"; b.Mode == resource.BulkDelete && !c.Scope.Actor.May(permission) {
		return b, permissionDenied(permission)
	}
	return b, nil
}

func bulkItem(mode resource.BulkMode, o *body.Object, history bool) resource.BulkItem {
	var item resource.BulkItem
	if o == nil {
		item.Err = fault.Values(fault.Violation{Pointer: "", Code: "type", Detail: "must be an object"})
		return item
	}
	switch mode {
	case resource.BulkCreate:
		item.Apply = func(e resource.Entity) error { return o.Decode(e, history) }
	case resource.BulkUpdate, resource.BulkUpsert:
		item.Apply = func(e resource.Entity) error { return o.Merge(e, history) }
	case resource.BulkDelete:
	}
	if mode == resource.BulkUpdate || mode == resource.BulkDelete {
		item.ID, item.Err = o.TakeID("id")
	}
	if mode == resource.BulkDelete && item.Err == nil && !o.IsEmpty() {
		item.Err = fault.Values(fault.Violation{Pointer: "", Code: "unknown_field", Detail: "holds more than an id; a delete takes nothing else"})
	}
	return item
}

func (h resourceHandler) answerBulk(c *Call, b resource.Bulk, results []resource.BulkResult) error {
	out := bulkAnswer{Results: make([]bulkResult, len(results))}
	failed := 0
	for i, r := range results {
		if r.Err == nil {
			out.Results[i] = bulkResult{Status: http.StatusOK, Data: r.Entity}
			switch r.Act {
			case resource.Created:
				out.Results[i].Status = http.StatusCreated
			case resource.Deleted:
				out.Results[i] = bulkResult{Status: http.StatusNoContent}
			}
			continue
		}
		failed++
		p, _ := problemOf(r.Err, c.RequestID())
		out.Results[i] = bulkResult{Status: p.Status, Error: &p}
	}
	switch {
	case failed == 0:
		return c.Answer(http.StatusOK, out)
	case !b.Atomic:
		return c.Answer(http.StatusMultiStatus, out)
	}
	return bulkRefused(results)
}

// bulkRefused is the answer to an atomic bulk with bad items: nothing was done, and every mistake is named where it
// stands.
func bulkRefused(results []resource.BulkResult) error {
	whole := fault.New(fault.Invalid, "bulk_refused", "Nothing was done, since the request is atomic and has bad items; see errors.")
	for i, r := range results {
		f, ok := fault.As(r.Err)
		if !ok {
			continue
		}
		at := fmt.Sprintf("/items/%d", i)
		if len(f.Violations) == 0 {
			whole.Violations = append(whole.Violations, fault.Violation{Pointer: at, Code: f.Code, Detail: f.Detail})
		}
		for _, v := range f.Violations {
			code := v.Code
			if f.Kind != fault.Invalid {
				code = f.Code
			}
			whole.Violations = append(whole.Violations, fault.Violation{Pointer: at + v.Pointer, Code: code, Detail: v.Detail})
		}
	}
	return whole
}
