package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// customer is a customer as the API answers one.
type customer struct {
	ID        string         `json:"id"`
	Version   int64          `json:"version"`
	Code      string         `json:"code"`
	Name      string         `json:"name"`
	Tags      []string       `json:"tags"`
	Custom    map[string]any `json:"custom"`
	DeletedAt *time.Time     `json:"deleted_at"`
}

// page is a part of any list.
type page[T any] struct {
	Data       []T     `json:"data"`
	NextCursor *string `json:"next_cursor"`
}

// seeded is what seed found and did.
type seeded struct{ added, there, restored int }

// String tells it in a line.
func (s seeded) String() string {
	text := fmt.Sprintf("%d added, %d already there", s.added, s.there)
	if s.restored > 0 {
		text += fmt.Sprintf(", %d taken out of the trash", s.restored)
	}
	return text
}

// seed puts in those customers whose codes are not there yet, and takes those out of the trash that are in it.
func seed(ctx context.Context, c *client, customers []newCustomer) (seeded, error) {
	var done seeded
	known := map[string]customer{}
	query := url.Values{"trashed": {"with"}, "fields": {"code,deleted_at"}, "limit": {"100"}}
	err := eachPage(ctx, c, "/customers", query, func(p page[customer]) {
		for _, found := range p.Data {
			if earlier, twice := known[found.Code]; !twice || earlier.DeletedAt != nil {
				known[found.Code] = found
			}
		}
	})
	if err != nil {
		return done, err
	}
	for _, wanted := range customers {
		found, isKnown := known[wanted.Code]
		switch {
		case !isKnown:
			err = create(ctx, c, wanted)
			done.added++
		case found.DeletedAt != nil:
			_, err = c.do(ctx, call{method: http.MethodPost, path: "/customers/" + found.ID + "/restore", want: http.StatusOK})
			done.restored++
		default:
			done.there++
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// create makes one customer. The Idempotency-Key makes it safe to send the request again when the answer was lost.
func create(ctx context.Context, c *client, wanted newCustomer) error {
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: "/customers", body: wanted, want: http.StatusCreated,
		header: map[string]string{"Idempotency-Key": rand.Text()},
	})
	return err
}

// eachPage follows the cursors through a list, from its first page to its last.
func eachPage[T any](ctx context.Context, c *client, path string, query url.Values, visit func(page[T])) error {
	for {
		var p page[T]
		_, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, want: http.StatusOK, into: &p})
		if err != nil {
			return err
		}
		visit(p)
		if p.NextCursor == nil {
			return nil
		}
		query.Set("cursor", *p.NextCursor)
	}
}
