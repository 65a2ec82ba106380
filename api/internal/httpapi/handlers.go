package httpapi

import (
	"context"
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/resource"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Handlers that bind, call and answer, and do nothing else, are made here. Each is named for what it takes of the request:
// the act is a service's method, and answer has what came of it.

// withPage is the handler of a list that has no filters. name is the list's, for its cursors.
func withPage[T, V any](name string, list func(context.Context, tenancy.Scope, page.Request) (page.Page[T], error), view func(T) V) func(*Call) error {
	return func(c *Call) error {
		return answerList(c.list(name), func(request page.Request) (page.Page[T], error) { return list(c.Context(), c.Scope, request) }, view)
	}
}

// withBody is the handler of what is made of a JSON body.
func withBody[In, T any](act func(context.Context, tenancy.Scope, In) (T, error), answer func(*Call, T) error) func(*Call) error {
	return func(c *Call) error {
		var in In
		if err := c.Decode(&in); err != nil {
			return err
		}
		done, err := act(c.Context(), c.Scope, in)
		if err != nil {
			return err
		}
		return answer(c, done)
	}
}

// withID is the handler of what is done with the record that the path names.
func withID[T any](act func(context.Context, tenancy.Scope, tenancy.ID) (T, error), answer func(*Call, T) error) func(*Call) error {
	return func(c *Call) error {
		id, err := c.ID("id")
		if err != nil {
			return err
		}
		done, err := act(c.Context(), c.Scope, id)
		if err != nil {
			return err
		}
		return answer(c, done)
	}
}

// withIDAndBody is the handler of what is done with the record that the path names, as a JSON body says.
func withIDAndBody[In, T any](act func(context.Context, tenancy.Scope, tenancy.ID, In) (T, error), answer func(*Call, T) error) func(*Call) error {
	return func(c *Call) error {
		id, err := c.ID("id")
		if err != nil {
			return err
		}
		var in In
		if err := c.Decode(&in); err != nil {
			return err
		}
		done, err := act(c.Context(), c.Scope, id, in)
		if err != nil {
			return err
		}
		return answer(c, done)
	}
}

// withPatch is the handler of a change: the body is a merge patch of S, and If-Match is heeded.
func withPatch[S, T any](
	change func(context.Context, tenancy.Scope, tenancy.ID, resource.Match, func(*S) error) (T, error), answer func(*Call, T) error,
) func(*Call) error {
	return func(c *Call) error {
		id, match, err := c.target()
		if err != nil {
			return err
		}
		changed, err := change(c.Context(), c.Scope, id, match, func(s *S) error { return c.Merge(s) })
		if err != nil {
			return err
		}
		return answer(c, changed)
	}
}

// withMatch is the handler of a deletion that heeds If-Match.
func withMatch(remove func(context.Context, tenancy.Scope, tenancy.ID, resource.Match) error) func(*Call) error {
	return func(c *Call) error {
		id, match, err := c.target()
		if err != nil {
			return err
		}
		if err := remove(c.Context(), c.Scope, id, match); err != nil {
			return err
		}
		return c.NoContent()
	}
}

// withIDAlone is the handler of a deletion that asks for no version.
func withIDAlone(remove func(context.Context, tenancy.Scope, tenancy.ID) error) func(*Call) error {
	return func(c *Call) error {
		id, err := c.ID("id")
		if err != nil {
			return err
		}
		if err := remove(c.Context(), c.Scope, id); err != nil {
			return err
		}
		return c.NoContent()
	}
}

// itself is the view of what is shown as it is.
func itself[T any](value T) T { return value }

// answerRecord answers with a record under the ETag of its version.
func (c *Call) answerRecord(version int64, record any) error {
	c.SetETag(version)
	return c.Answer(http.StatusOK, record)
}

// answerUnlessKnown is answerRecord, but for a caller that has this version already: 304. It fits a record of which nothing
// moves without its version.
func (c *Call) answerUnlessKnown(version int64, record any) error {
	c.SetETag(version)
	if c.NotModified(version) {
		return nil
	}
	return c.Answer(http.StatusOK, record)
}

// answerMade answers with a record that was made in a collection: "/connectors".
func (c *Call) answerMade(collection string, id tenancy.ID, version int64, record any) error {
	c.SetHeader("Location", Base+collection+"/"+id.String())
	c.SetETag(version)
	return c.Answer(http.StatusCreated, record)
}
