package httpapi

import "strings"

// Access says who may call a route.
type Access int

// The kinds of access.
const (
	// Public routes take no credential.
	Public Access = iota
	// Signed routes take a user's session, in whatever tenant it is.
	Signed
	// Tenant routes take a session or an API key and work inside its tenant.
	Tenant
)

// Base is the path under which the API lives.
const Base = "/api/v1"

// Route is one row of the API's table.
type Route struct {
	// Method and Path; the path is under Base and names its parameters with a colon: "/customers/:id".
	Method, Path string
	Access       Access
	// Permission is what the caller needs; "" where being let in is enough.
	Permission string
	// Summary says in a line what the route does.
	Summary string
	// Status is what success answers.
	Status int
	// Body and Answer are zero values of what the handler decodes and answers, for the document; nil for none. A list
	// names the type of one item.
	Body, Answer any
	// Patch says that the body is a merge patch of Body.
	Patch bool
	// IsList says that the answer is a page of Answer.
	IsList bool
	// MaxBody is how large a body may be, in bytes; 0 is 1 MiB.
	MaxBody int64
	// Params are the query parameters that the route knows; any other is an error.
	Params []string
	// ReadsQuery says that the handler reads the query itself and refuses what it does not know: a list with filters.
	ReadsQuery bool
	// Versioned says that the answer has the ETag of its version; a resource's own record always has.
	Versioned bool
	// Alone says that what the route does is committed even where it answers an error: the reuse of a refresh token ends
	// its session. An Idempotency-Key is of no use there: a repeat meets what the first request did.
	Alone bool
	// Secret routes answer with a token or a key: never stored, neither by caches nor for a repeat.
	Secret bool
	// Upload names the field of a multipart form that holds a file, which is what the body is; "" for other bodies.
	Upload string
	// Binary says that the answer is a file's contents, or a part of them; HEAD is answered, too.
	Binary bool
	Handle func(*Call) error
}

// streams says that a body or an answer may be large: it goes as it comes, for as long as bytes move.
func (r Route) streams() bool { return r.Upload != "" || r.Binary }

// DefaultMaxBody is how large a JSON body may be where a route says nothing else.
const DefaultMaxBody = 1 << 20

// Template is the path as OpenAPI writes it: "/customers/{id}".
func (r Route) Template() string {
	parts := strings.Split(r.Path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}
