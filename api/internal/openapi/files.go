package openapi

import "fmt"

// anyType is the media range of contents that may be of any type.
const anyType = "*/*"

// aboutFiles says in sentences what is particular to bodies and answers that are files.
func aboutFiles(r Route) []string {
	switch {
	case r.Upload != "":
		return []string{fmt.Sprintf("The body is a form with the one field `%s`, which holds a file with its name. The type is told from its first "+
			"bytes. What breaks off, or is too large, is not kept at all. With an `Idempotency-Key` the same file is kept once.", r.Upload)}
	case r.Binary:
		return []string{"The contents are streamed and never redirected; parts of them are answered with 206. HEAD answers the headers alone."}
	default:
		return nil
	}
}

// uploadBody is a form with one file.
func uploadBody(r Route) *RequestBody {
	form := &Schema{Type: Types{"object"}, Required: []string{r.Upload}, AdditionalProperties: false}
	form.Properties.Set(r.Upload, &Schema{Type: Types{"string"}, Format: "binary", Description: "The file, with its name."})
	body := &RequestBody{Required: true}
	body.Content.Set("multipart/form-data", &MediaType{Schema: form})
	return body
}

// contentsOfFile are bytes of any type.
func contentsOfFile() Map[*MediaType] {
	var m Map[*MediaType]
	m.Set(anyType, &MediaType{Schema: &Schema{Type: Types{"string"}, Format: "binary"}})
	return m
}
