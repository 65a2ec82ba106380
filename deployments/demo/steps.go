package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// filter asks for some of the customers, and compares each answer with what is known of all of them.
func (t *tour) filter(ctx context.Context) error {
	for _, f := range []struct {
		query   string
		matches func(customer) bool
	}{
		{"custom.country=Germany", func(c customer) bool { return c.Custom["country"] == "Germany" }},
		{"tags[any]=france,spain", func(c customer) bool {
			return slices.Contains(c.Tags, "france") || slices.Contains(c.Tags, "spain")
		}},
		{"tags[all]=mexico,owner", func(c customer) bool {
			return slices.Contains(c.Tags, "mexico") && slices.Contains(c.Tags, "owner")
		}},
	} {
		query, err := url.ParseQuery(f.query + "&limit=100")
		if err != nil {
			return err
		}
		found, want := 0, 0
		if err := eachPage(ctx, t.northwind, "/customers", query, func(p page[customer]) { found += len(p.Data) }); err != nil {
			return err
		}
		for _, c := range t.all {
			if f.matches(c) {
				want++
			}
		}
		if found != want {
			return fmt.Errorf("%s found %d customers, and %d match", f.query, found, want)
		}
		t.say("   %s: %d customers.", f.query, found)
	}
	var last page[customer]
	err := t.northwind.Do(ctx, client.Call{
		Method: http.MethodGet, Path: "/customers", Want: http.StatusOK, Into: &last,
		Query: url.Values{"sort": {"-name"}, "limit": {"3"}, "fields": {"code,name"}},
	})
	if err != nil {
		return err
	}
	names := make([]string, len(last.Data))
	for i, c := range last.Data {
		names[i] = c.Name
	}
	t.say("   sort=-name&limit=3&fields=code,name: %s.", strings.Join(names, ", "))

	var p client.Problem
	err = t.northwind.Do(ctx, client.Call{
		Method: http.MethodGet, Path: "/customers", Query: url.Values{"country": {"Germany"}},
		Want: http.StatusBadRequest, Into: &p,
	})
	if err != nil {
		return err
	}
	for _, e := range p.Errors {
		t.say("   country=Germany is refused (400 %s): %s %s.", p.Code, e.Pointer, e.Detail)
	}
	return nil
}

// change notes a call in a customer's custom fields, tries it again with the ETag that is stale by then, and takes the
// note out again.
func (t *tour) change(ctx context.Context) error {
	chosen, err := t.find("ALFKI")
	if err != nil {
		return err
	}
	path := "/customers/" + chosen.ID
	answer, err := t.northwind.Ask(ctx, client.Call{Method: http.MethodGet, Path: path, Want: http.StatusOK})
	if err != nil {
		return err
	}
	first := answer.Header.Get("ETag")
	note := map[string]any{"custom": map[string]any{"last_call": time.Now().UTC().Format(time.RFC3339)}}
	patch := client.Call{
		Method: http.MethodPatch, Path: path, Body: note, Want: http.StatusOK, Into: &t.touched,
		Header: map[string]string{"Content-Type": "application/merge-patch+json", "If-Match": first},
	}
	if answer, err = t.northwind.Ask(ctx, patch); err != nil {
		return err
	}
	second := answer.Header.Get("ETag")
	t.say("   A merge patch with If-Match %s notes a last_call at %s, which is at %s now.", first, chosen.Name, second)

	var p client.Problem
	stale := patch
	stale.Want, stale.Into = http.StatusPreconditionFailed, &p
	if err = t.northwind.Do(ctx, stale); err != nil {
		return err
	}
	t.say("   The same patch with the stale %s is refused (412 %s): %s", first, p.Code, p.Detail)

	patch.Body = map[string]any{"custom": map[string]any{"last_call": nil}}
	patch.Header["If-Match"] = second
	if answer, err = t.northwind.Ask(ctx, patch); err != nil {
		return err
	}
	third := answer.Header.Get("ETag")
	err = t.northwind.Do(ctx, client.Call{
		Method: http.MethodGet, Path: path, Want: http.StatusNotModified, Header: map[string]string{"If-None-Match": third},
	})
	if err != nil {
		return err
	}
	t.say("   A null takes the note out again, which makes it %s; asking again with If-None-Match %s gets a 304.", third, third)
	return nil
}

// deleteAndRestore moves a customer to the trash and back, and sends the way back twice.
func (t *tour) deleteAndRestore(ctx context.Context) error {
	chosen, err := t.find("FISSA")
	if err != nil {
		return err
	}
	path := "/customers/" + chosen.ID
	if err = t.northwind.Do(ctx, client.Call{Method: http.MethodDelete, Path: path, Want: http.StatusNoContent}); err != nil {
		return err
	}
	if err = t.northwind.Do(ctx, client.Call{Method: http.MethodGet, Path: path, Want: http.StatusNotFound}); err != nil {
		return err
	}
	var trash page[customer]
	err = t.northwind.Do(ctx, client.Call{
		Method: http.MethodGet, Path: "/customers", Query: url.Values{"trashed": {"only"}, "code": {chosen.Code}},
		Want: http.StatusOK, Into: &trash,
	})
	if err != nil {
		return err
	}
	if len(trash.Data) == 0 {
		return fmt.Errorf("%s was deleted and is not in the trash", chosen.Name)
	}
	t.say("   %s is deleted: reading it is a 404, and trashed=only lists it.", chosen.Name)

	var restored, again customer
	restore := client.Call{
		Method: http.MethodPost, Path: path + "/restore", Want: http.StatusOK, Into: &restored,
		Header: map[string]string{"Idempotency-Key": rand.Text()},
	}
	if err = t.northwind.Do(ctx, restore); err != nil {
		return err
	}
	restore.Into = &again
	answer, err := t.northwind.Ask(ctx, restore)
	if err != nil {
		return err
	}
	if answer.Header.Get("Idempotency-Replayed") != "true" || again.Version != restored.Version {
		return fmt.Errorf("restoring %s twice with one Idempotency-Key was done twice", chosen.Name)
	}
	t.say("   It is restored at version %d; the repeat with the same Idempotency-Key was not done again, "+
		"only answered (Idempotency-Replayed: true).", restored.Version)
	return nil
}

// entry is one line of the audit.
type entry struct {
	At        time.Time `json:"at"`
	ActorKind string    `json:"actor_kind"`
	RequestID string    `json:"request_id"`
	Action    string    `json:"action"`
	Version   int64     `json:"version"`
	Changes   []struct {
		Field string `json:"field"`
	} `json:"changes"`
}

func (t *tour) audit(ctx context.Context) error {
	var history page[entry]
	err := t.northwind.Do(ctx, client.Call{
		Method: http.MethodGet, Path: "/customers/" + t.touched.ID + "/history", Query: url.Values{"limit": {"3"}},
		Want: http.StatusOK, Into: &history,
	})
	if err != nil {
		return err
	}
	t.say("   The history of %s, the newest first:", t.touched.Name)
	for _, e := range history.Data {
		fields := make([]string, len(e.Changes))
		for i, c := range e.Changes {
			fields[i] = c.Field
		}
		t.say("     %s  version %d  %s (%s) by a %s, request %s", e.At.Format(time.TimeOnly), e.Version, e.Action,
			strings.Join(fields, ", "), e.ActorKind, e.RequestID)
	}
	counts := map[string]int{}
	query := url.Values{"resource": {"customer"}, "limit": {"100"}}
	err = eachPage(ctx, t.northwind, "/audit-events", query, func(p page[entry]) {
		for _, e := range p.Data {
			counts[e.Action]++
		}
	})
	if err != nil {
		return err
	}
	if counts["customer.created"] < len(t.codes) {
		return fmt.Errorf("the audit knows of %d customers created, and there are %d", counts["customer.created"], len(t.codes))
	}
	t.say("   The tenant's audit of customers: %d created, %d updated, %d deleted, %d restored.", counts["customer.created"],
		counts["customer.updated"], counts["customer.deleted"], counts["customer.restored"])
	return nil
}

// trespass signs another tenant in and tries every way to the first one's customer. Each must answer as it does for an
// id that nobody has.
func (t *tour) trespass(ctx context.Context) error {
	stranger, s, _, err := t.enter(ctx, client.Account{Name: "Val Thames", Email: "tour@tailspin.example", Organization: "Tailspin Toys"})
	if err != nil {
		return err
	}
	nobodys := t.touched.ID[:24] + "000000000000"
	for _, try := range []struct {
		what, method, after string
		body                any
	}{
		{"read", http.MethodGet, "", nil},
		{"change", http.MethodPatch, "", map[string]string{"name": "Mine"}},
		{"delete", http.MethodDelete, "", nil},
		{"restore", http.MethodPost, "/restore", nil},
		{"see the history of", http.MethodGet, "/history", nil},
	} {
		var theirs, none client.Problem
		of := func(id string, into *client.Problem) client.Call {
			return client.Call{
				Method: try.method, Path: "/customers/" + id + try.after, Body: try.body,
				Want: http.StatusNotFound, Into: into,
			}
		}
		if err := stranger.Do(ctx, of(t.touched.ID, &theirs)); err != nil {
			return err
		}
		if err := stranger.Do(ctx, of(nobodys, &none)); err != nil {
			return err
		}
		if theirs.Code != none.Code || theirs.Detail != none.Detail {
			return fmt.Errorf("%s: another tenant's id answers %q, and nobody's %q", try.what, theirs.Detail, none.Detail)
		}
		t.say("   %s tries to %s %s: 404 %s, as for an id that nobody has.", s.Tenant.Name, try.what, t.touched.Name, theirs.Code)
	}
	for path, query := range map[string]url.Values{
		"/customers":    {"code": {t.touched.Code}, "trashed": {"with"}},
		"/audit-events": {"resource_id": {t.touched.ID}},
	} {
		var found page[struct{}]
		err := stranger.Do(ctx, client.Call{Method: http.MethodGet, Path: path, Query: query, Want: http.StatusOK, Into: &found})
		if err != nil {
			return err
		}
		if len(found.Data) > 0 {
			return fmt.Errorf("%s shows another tenant's records: %s?%s", s.Tenant.Name, path, query.Encode())
		}
	}
	t.say("   Its lists and its audit hold nothing of Northwind's.")
	return t.isUntouched(ctx)
}

// isUntouched proves that the customer is as the tour left it.
func (t *tour) isUntouched(ctx context.Context) error {
	var now customer
	err := t.northwind.Do(ctx, client.Call{
		Method: http.MethodGet, Path: "/customers/" + t.touched.ID, Want: http.StatusOK, Into: &now,
	})
	if err != nil {
		return err
	}
	if now.Version != t.touched.Version {
		return fmt.Errorf("%s was at version %d and is at %d", now.Name, t.touched.Version, now.Version)
	}
	t.say("   Northwind still reads %s at version %d.", now.Name, now.Version)
	return nil
}

func (t *tour) limits(ctx context.Context) error {
	answer, err := t.northwind.Ask(ctx, client.Call{
		Method: http.MethodGet, Path: "/customers", Query: url.Values{"limit": {"1"}}, Want: http.StatusOK,
	})
	if err != nil {
		return err
	}
	t.say("   Every answer says what is left: RateLimit-Policy: %s, RateLimit: %s.",
		answer.Header.Get("RateLimit-Policy"), answer.Header.Get("RateLimit"))
	t.say("   It has a name as well, which stands in the log and in the audit: X-Request-Id: %s.", answer.Header.Get("X-Request-Id"))
	return nil
}
