package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Sealer seals what leaves us and must come back unchanged. What it is bound to must be given to open it.
type Sealer interface {
	Seal(plaintext, aad []byte) ([]byte, error)
	Open(sealed, aad []byte) ([]byte, error)
}

// cursor is what an opaque cursor holds.
type cursor struct {
	Position page.Position `json:"p"`
	Backward bool          `json:"b,omitempty"`
}

// cursors turns positions into opaque cursors and back. A cursor is bound to the tenant, the list and its filters and
// order: with others it does not open.
type cursors struct{ sealer Sealer }

func (c cursors) seal(scope tenancy.Scope, list string, cur cursor) (string, error) {
	plain, err := json.Marshal(cur)
	if err != nil {
		return "", err
	}
	sealed, err := c.sealer.Seal(plain, binding(scope, list))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

func (c cursors) open(scope tenancy.Scope, list, text string, request *page.Request) error {
	if text == "" {
		return nil
	}
	invalid := &fault.Error{
		Kind: fault.Malformed, Code: "invalid_cursor",
		Detail:     "The cursor does not belong to this list with these filters; start again without it.",
		Violations: []fault.Violation{{Pointer: "cursor", Code: "cursor", Detail: "was not given for this list, or was changed"}},
	}
	if len(text) > 8<<10 {
		return invalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return invalid.Because(err)
	}
	plain, err := c.sealer.Open(sealed, binding(scope, list))
	if err != nil {
		return invalid.Because(err)
	}
	var cur cursor
	if err := json.Unmarshal(plain, &cur); err != nil {
		return invalid.Because(err)
	}
	request.After, request.Backward = cur.Position, cur.Backward
	return nil
}

func binding(scope tenancy.Scope, list string) []byte {
	return []byte("cursor\x00" + scope.Tenant.String() + "\x00" + list)
}

// list is a page as it is answered.
type list[T any] struct {
	Data       []T     `json:"data"`
	NextCursor *string `json:"next_cursor"`
	PrevCursor *string `json:"prev_cursor"`
}

// answerPage renders a page with its cursors, in the body and in Link (RFC 8288).
func answerPage[T, R any](c *Call, name string, p page.Page[T], render func(T) R) error {
	out := list[R]{Data: make([]R, len(p.Items))}
	for i, item := range p.Items {
		out.Data[i] = render(item)
	}
	var links []string
	link := func(position page.Position, backward bool, rel string) (*string, error) {
		if len(position) == 0 {
			return nil, nil //nolint:nilnil // no cursor at the list's end
		}
		sealed, err := c.cursors.seal(c.Scope, name, cursor{Position: position, Backward: backward})
		if err != nil {
			return nil, err
		}
		query := url.Values(maps.Clone(c.Query()))
		query.Set("cursor", sealed)
		links = append(links, "<"+c.gin.Request.URL.Path+"?"+query.Encode()+`>; rel="`+rel+`"`)
		return &sealed, nil
	}
	var err error
	if out.NextCursor, err = link(p.Next, false, "next"); err != nil {
		return err
	}
	if out.PrevCursor, err = link(p.Prev, true, "prev"); err != nil {
		return err
	}
	if len(links) > 0 {
		c.SetHeader("Link", strings.Join(links, ", "))
	}
	return c.Answer(http.StatusOK, out)
}
