package openapi

import "net/http"

// addOrigin describes what is served beside the routes, at the origin's root.
func (b *builder) addOrigin() {
	service := Capability{Name: "Service", Description: "The service itself: whether it is up, its keys, and this description."}
	b.addTag(service)
	add := func(path, id, summary, description, mediaType string, schema *Schema, example any) {
		o := &Operation{
			Tags: []string{service.Name}, ID: id, Summary: summary, Description: description, Security: []map[string][]string{},
		}
		var content Map[*MediaType]
		content.Set(mediaType, &MediaType{Schema: schema, Example: example})
		response := &Response{Description: "Here it is.", Content: content, Headers: originHeaders()}
		o.Responses.Set("200", response)
		if id == "service_openapi" {
			response.Headers.Set("ETag", &Header{Ref: "#/components/headers/ETag"})
			o.Parameters = []*Parameter{{Ref: "#/components/parameters/IfNoneMatch"}}
			unchanged := &Response{Description: "Nothing has changed since the ETag in If-None-Match.", Headers: originHeaders()}
			unchanged.Headers.Set("ETag", &Header{Ref: "#/components/headers/ETag"})
			o.Responses.Set("304", unchanged)
		}
		o.Responses.Set("500", &Response{Ref: "#/components/responses/InternalServerError"})
		b.set(path, http.MethodGet, o)
	}

	up := &Schema{Type: Types{"object"}, Required: []string{"status"}}
	up.Properties.Set("status", &Schema{Type: Types{"string"}, Enum: []any{"up"}})
	add("/healthz", "service_health", "Ask whether the service is up", "For monitors outside. It says nothing but that it is up.",
		"application/json", up, map[string]any{"status": "up"})

	key := &Schema{Type: Types{"object"}, Required: []string{"kty", "kid", "use", "alg"}}
	var sample Map[any]
	for _, member := range [][3]string{
		{"kty", "The key's type.", "OKP"},
		{"crv", "Its curve.", "Ed25519"},
		{"kid", "Its name, as tokens give it.", "0198"},
		{"use", "What it is for.", "sig"},
		{"alg", "The algorithm.", "EdDSA"},
		{"x", "The public key, in base64url.", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
	} {
		key.Properties.Set(member[0], &Schema{Type: Types{"string"}, Description: member[1]})
		sample.Set(member[0], member[2])
	}
	set := &Schema{Type: Types{"object"}, Required: []string{"keys"}}
	set.Properties.Set("keys", &Schema{Type: Types{"array"}, Items: key})
	b.doc.Components.Schemas.Set("KeySet", set)
	add("/.well-known/jwks.json", "service_keys", "Read the keys that access tokens are signed with",
		"A JSON Web Key Set (RFC 7517). A key is there before the first token that it signs, and until the last one has expired.",
		"application/jwk-set+json", schemaRef("KeySet"), map[string]any{"keys": []any{sample}})

	add("/openapi.json", "service_openapi", "Read this document", "The API's description in OpenAPI 3.1; people find it at /docs.",
		"application/json", &Schema{Type: Types{"object"}, AdditionalProperties: true}, map[string]any{"openapi": "3.1.1"})
}

// originHeaders are those of every answer that no limit applies to.
func originHeaders() Map[*Header] {
	var m Map[*Header]
	for _, name := range []string{
		"X-Request-Id", "Cache-Control", "X-Content-Type-Options", "Strict-Transport-Security", "Access-Control-Allow-Origin",
	} {
		m.Set(name, &Header{Ref: "#/components/headers/" + name})
	}
	return m
}
