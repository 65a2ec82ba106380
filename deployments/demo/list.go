package main

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
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
func eachPage[T any](ctx context.Context, c *client.Client, path string, query url.Values, visit func(page[T])) error {
	for {
		var p page[T]
		err := c.Do(ctx, client.Call{Method: http.MethodGet, Path: path, Query: query, Want: http.StatusOK, Into: &p})
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
