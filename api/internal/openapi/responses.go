package openapi

import (
	"net/http"
	"slices"
	"strconv"
)

const problemType = "application/problem+json"

// failure is an error that operations answer with.
type failure struct {
	status            int
	name, description string
	code, detail      string
	violation         *[3]string // pointer, code, detail
	headers           []string
}

func failures() []failure {
	return []failure{
		{
			status: http.StatusBadRequest, name: "BadRequest", description: "The request cannot be read.",
			code: "invalid_query", detail: "One or more query parameters are not valid; see errors.",
			violation: &[3]string{"limit", "limit", "must be a whole number from 1 to 100"},
		},
		{
			status: http.StatusUnauthorized, name: "Unauthorized", description: "Who asks is not known, or no longer.",
			code: "auth.token_expired", detail: "The access token has expired; refresh it.", headers: []string{"WWW-Authenticate"},
		},
		{
			status: http.StatusForbidden, name: "Forbidden", description: "Who asks is known and may not.",
			code: "permission_denied", detail: "This needs the permission customers:write, which you do not have here; " +
				"ask an administrator of the organization.",
		},
		{
			status: http.StatusNotFound, name: "NotFound", description: "There is no such record in this organization.",
			code: "customer.not_found", detail: "There is no such customer.",
		},
		{
			status: http.StatusConflict, name: "Conflict", description: "The present state does not allow it.",
			code: "customer.email_taken", detail: "Another customer has this email.",
			violation: &[3]string{"/email", "taken", "is another record's"}, headers: []string{"Location", "Retry-After"},
		},
		{
			status: http.StatusPreconditionFailed, name: "PreconditionFailed", description: "The record has changed since you read it.",
			code: "version_mismatch", detail: "The customer has changed since you read it; read it again, then repeat the change with its new ETag.",
		},
		{
			status: http.StatusRequestEntityTooLarge, name: "ContentTooLarge", description: "The body is larger than this takes.",
			code: "body_too_large", detail: "The body is larger than 1048576 bytes.",
		},
		{
			status: http.StatusUnsupportedMediaType, name: "UnsupportedMediaType", description: "The content type is not taken here.",
			code: "unsupported_media_type", detail: "The Content-Type is not taken here; send application/json in UTF-8.",
		},
		{
			status: http.StatusRequestedRangeNotSatisfiable, name: "RangeNotSatisfiable",
			description: "The part that was asked for is not there; `Content-Range` says how large the whole is.",
			code:        "range_not_satisfiable", detail: "The file has 48213 bytes, and none of those that Range asks for.",
			headers: []string{"Content-Range"},
		},
		{
			status: http.StatusUnprocessableEntity, name: "UnprocessableContent", description: "The request was read, and values in it break a rule.",
			code: "validation_failed", detail: "One or more values are not valid; see errors.",
			violation: &[3]string{"/name", "notblank", "is required; give a value"},
		},
		{
			status: http.StatusTooManyRequests, name: "TooManyRequests", description: "Too many requests; wait as long as Retry-After says.",
			code: "rate_limited", detail: "More than 300 requests in 1m0s by this address; wait as long as Retry-After says.",
			headers: []string{"Retry-After"},
		},
		{
			status: http.StatusInternalServerError, name: "InternalServerError", description: "A mistake of ours.",
			code: "internal", detail: "Something went wrong on our side. Quote the request_id when you report it.",
		},
		{
			status: http.StatusServiceUnavailable, name: "ServiceUnavailable", description: "Something that the API stands on is away; try again.",
			code: "timeout", detail: "The request took too long and was given up; try again, or ask for less.",
			headers: []string{"Retry-After"},
		},
	}
}

func (f failure) example() any {
	var o Map[any]
	o.Set("type", "/docs/errors#"+f.code)
	o.Set("title", http.StatusText(f.status))
	o.Set("status", f.status)
	o.Set("code", f.code)
	o.Set("detail", f.detail)
	if f.violation != nil {
		var v Map[any]
		v.Set("pointer", f.violation[0])
		v.Set("code", f.violation[1])
		v.Set("detail", f.violation[2])
		o.Set("errors", []any{v})
	}
	o.Set("request_id", exampleID)
	return o
}

// fails says which statuses of failures can come of a route.
func (r Route) fails(status int) bool {
	writes := r.Method != http.MethodGet
	switch status {
	case http.StatusUnauthorized:
		return r.Access != Public || r.takesBody()
	case http.StatusForbidden:
		return r.Access != Public || r.takesBody() || r.Binary
	case http.StatusRequestedRangeNotSatisfiable:
		return r.Binary
	case http.StatusNotFound:
		return r.Binary || slices.ContainsFunc(r.segments(), isParameter) || r.sends("token")
	case http.StatusConflict:
		return writes
	case http.StatusPreconditionFailed:
		return r.takesMatch()
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return r.takesBody()
	case http.StatusUnprocessableEntity:
		return r.takesBody() || r.Method == http.MethodPost
	default: // any request can be unreadable, one too many, or meet our mistakes
		return true
	}
}

// responses are what the route answers: success, not modified, and the failures.
func (b *builder) responses(r Route) Map[*Response] {
	var m Map[*Response]
	success := &Response{Description: http.StatusText(r.Status)}
	headers := []string{}
	if r.Answer != nil {
		success.Description = b.describeAnswer(r)
		var content Map[*MediaType]
		schema := b.answer(r)
		content.Set("application/json", &MediaType{Schema: schema, Example: b.doc.example(schema, "")})
		success.Content = content
	} else if r.Status == http.StatusNoContent {
		success.Description = "Done; there is nothing to show."
	}
	if r.Binary {
		success.Description, success.Content = "The contents of the file.", contentsOfFile()
		headers = append(headers, "ETag", "Accept-Ranges", "Content-Disposition")
	}
	if r.hasETag() {
		headers = append(headers, "ETag")
	}
	if r.Status == http.StatusCreated || r.Status == http.StatusAccepted {
		headers = append(headers, "Location")
	}
	if r.List {
		headers = append(headers, "Link")
	}
	if r.Method == http.MethodPost {
		headers = append(headers, "Idempotency-Replayed")
	}
	success.Headers = headerRefs(headers...)
	m.Set(strconv.Itoa(r.Status), success)
	if r.isBulk() {
		partly := *success
		partly.Description = "Some items failed; what came of each stands in its place."
		m.Set("207", &partly)
	}
	if r.Binary {
		m.Set("206", &Response{
			Description: "The part of the contents that `Range` asks for.", Content: contentsOfFile(),
			Headers: headerRefs(append(headers, "Content-Range")...),
		})
		m.Set("304", &Response{
			Description: "You have the contents: they are those of the ETag in If-None-Match.", Headers: headerRefs("ETag", "Accept-Ranges"),
		})
	}
	if r.Method == http.MethodGet && r.hasETag() {
		m.Set("304", &Response{
			Description: "Nothing has changed since the ETag in If-None-Match.", Headers: headerRefs("ETag"),
		})
	}
	for _, f := range failures() {
		if r.fails(f.status) {
			m.Set(strconv.Itoa(f.status), &Response{Ref: "#/components/responses/" + f.name})
		}
	}
	return m
}

func (b *builder) describeAnswer(r Route) string {
	switch {
	case r.List:
		return "A page of the list."
	case r.Secret:
		return "Done. The answer holds secrets: it is told once and is never stored."
	case r.Resource != nil && r.Status == http.StatusCreated:
		return "The " + words(r.Resource.Name) + " as it was made."
	case r.Resource != nil && isEntity(r.Answer):
		return "The " + words(r.Resource.Name) + "."
	case r.Status == http.StatusCreated:
		return "It was made."
	default:
		return "Done."
	}
}

func commonResponses() Map[*Response] {
	var m Map[*Response]
	for _, f := range failures() {
		var content Map[*MediaType]
		content.Set(problemType, &MediaType{Schema: schemaRef("Problem"), Example: f.example()})
		m.Set(f.name, &Response{Description: f.description, Headers: headerRefs(f.headers...), Content: content})
	}
	return m
}

// headerRefs are the headers of every answer, and the given ones.
func headerRefs(names ...string) Map[*Header] {
	var m Map[*Header]
	every := []string{
		"X-Request-Id", "RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
		"Cache-Control", "X-Content-Type-Options", "Strict-Transport-Security", "Access-Control-Allow-Origin",
	}
	for _, name := range append(names, every...) {
		m.Set(name, &Header{Ref: "#/components/headers/" + name})
	}
	return m
}

func commonHeaders() Map[*Header] {
	var m Map[*Header]
	text := func(name, description, example string) {
		m.Set(name, &Header{Description: description, Schema: &Schema{Type: Types{"string"}}, Example: example})
	}
	whole := func(name, description string, example int) {
		m.Set(name, &Header{
			Description: description, Schema: &Schema{Type: Types{"integer"}, Format: "int64", Minimum: new(int64(0))}, Example: example,
		})
	}
	text("ETag", "Names the record's version; send it back as If-Match or If-None-Match. An answer that `fields` shaped has none.", `"3"`)
	text("Location", "Where the record is.", "/api/v1/customers/"+exampleID)
	text("Accept-Ranges", "Tells that parts of the contents can be asked for.", "bytes")
	text("Content-Range", "Which bytes of how many the answer holds.", "bytes 0-1023/48213")
	text("Content-Disposition", "Has a browser save the contents under the file's name.", `attachment; filename="customers.csv"`)
	text("Link", "The pages around this one, as RFC 8288 writes it.", `</api/v1/customers?cursor=q83vEg>; rel="next"`)
	text("Idempotency-Replayed", "`true` where the answer is that of an earlier request with the same Idempotency-Key.", "true")
	whole("Retry-After", "How many seconds to wait before the same request may succeed.", 7)
	text("WWW-Authenticate", "What kind of credential is asked for.", `Bearer realm="api"`)
	text("X-Request-Id", "Names the request in logs, the audit and reports; a sent one is kept.", exampleID)
	text("RateLimit-Policy", "The limit nearest to its end: requests (q) in a window of seconds (w).", `"tenant";q=60000;w=60`)
	text("RateLimit", "What is left of it: requests (r), and the seconds until all are there again (t).", `"tenant";r=59921;t=1`)
	whole("X-RateLimit-Limit", "The limit's requests in its window.", 60000)
	whole("X-RateLimit-Remaining", "How many requests are left.", 59921)
	whole("X-RateLimit-Reset", "When all of them are there again, in seconds since 1970.", 1773480414)
	text("Cache-Control", "Who may keep the answer, and for how long.", "private, no-cache")
	text("X-Content-Type-Options", "Tells browsers not to guess the type.", "nosniff")
	text("Strict-Transport-Security", "Tells browsers to use TLS from now on.", "max-age=31536000; includeSubDomains")
	text("Access-Control-Allow-Origin", "The page's origin, where it is one of those that may call.", "https://app.example.com")
	return m
}
