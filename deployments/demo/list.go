package main

import (
	"context"
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
