package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/groundwork-saas/groundwork/domain/audit"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// sealedEndpoint is what of an endpoint is written in another form than it has in the domain.
type sealedEndpoint struct {
	headers, secret []byte
	previous        any // []byte, or NULL
	filter          string
	rateLimit       any
	ratePer         any
}

// endpointBinding is the place that a value is sealed for: the column, the tenant, the row.
func endpointBinding(column string, tenant, id tenancy.ID) []byte {
	return []byte("webhook_endpoints/" + column + "/" + tenant.String() + "/" + id.String())
}

func (s *Webhooks) seal(e webhooks.Endpoint) (out sealedEndpoint, err error) {
	headers, err := json.Marshal(e.Headers)
	if err != nil {
		return out, fmt.Errorf("write an endpoint's headers: %w", err)
	}
	if out.headers, err = s.sealer.Seal(headers, endpointBinding("headers", e.TenantID, e.ID)); err != nil {
		return out, fmt.Errorf("seal an endpoint's headers: %w", err)
	}
	for i, secret := range e.Secrets {
		// Both are sealed for the same place, since the one becomes the other.
		sealed, err := s.sealer.Seal([]byte(secret.Reveal()), endpointBinding("secret", e.TenantID, e.ID))
		if err != nil {
			return out, fmt.Errorf("seal an endpoint's secret: %w", err)
		}
		if i == 0 {
			out.secret = sealed
		} else {
			out.previous = sealed
		}
	}
	filter, err := json.Marshal(e.Filter)
	if err != nil {
		return out, fmt.Errorf("write an endpoint's filter: %w", err)
	}
	out.filter = string(filter)
	if e.RateLimit != nil {
		out.rateLimit, out.ratePer = e.RateLimit.Limit, e.RateLimit.Per
	}
	return out, nil
}

// open opens the headers and the secrets of an endpoint.
func (s *Webhooks) open(r endpointRow) (webhooks.Endpoint, error) {
	e := r.Endpoint
	headers, err := s.sealer.Open(r.headers, endpointBinding("headers", e.TenantID, e.ID))
	if err != nil {
		return e, fmt.Errorf("open the headers of endpoint %s: %w", e.ID, err)
	}
	if e.Headers, err = freeObject(headers); err != nil {
		return e, fmt.Errorf("read the headers of endpoint %s: %w", e.ID, err)
	}
	for _, sealed := range [][]byte{r.secret, r.previous} {
		if sealed == nil {
			continue
		}
		text, err := s.sealer.Open(sealed, endpointBinding("secret", e.TenantID, e.ID))
		if err != nil {
			return e, fmt.Errorf("open the secret of endpoint %s: %w", e.ID, err)
		}
		secret, err := webhooks.ParseSecret(string(text))
		if err != nil {
			return e, fmt.Errorf("read the secret of endpoint %s: %w", e.ID, err)
		}
		e.Secrets = append(e.Secrets, secret)
	}
	return e, nil
}

// freeObject reads a JSON object with its numbers as they were written.
func freeObject(data []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	object := map[string]any{}
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	return object, nil
}

// endpointChanges are what the audit says of a change: never a header's value nor a secret.
func endpointChanges(before, after webhooks.Endpoint) []audit.Change {
	var changes []audit.Change
	add := func(field string, from, to any) {
		if !reflect.DeepEqual(from, to) {
			changes = append(changes, audit.Change{Field: field, From: from, To: to})
		}
	}
	add("url", before.URL, after.URL)
	add("description", before.Description, after.Description)
	add("events", before.Events, after.Events)
	add("header_names", before.HeaderNames, after.HeaderNames)
	add("payload", before.Payload, after.Payload)
	add("filter", before.Filter, after.Filter)
	add("state", before.State, after.State)
	if !reflect.DeepEqual(before.RateLimit, after.RateLimit) {
		changes = append(changes, audit.Change{Field: "rate_limit", From: before.RateLimit, To: after.RateLimit})
	}
	if reflect.DeepEqual(before.HeaderNames, after.HeaderNames) && !reflect.DeepEqual(before.Headers, after.Headers) {
		changes = append(changes, audit.Change{Field: "headers", From: "***", To: "***"})
	}
	return changes
}
