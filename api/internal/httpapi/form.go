package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// formOverhead is how much of a form may be around its file: boundaries, headers of parts.
const formOverhead = 64 << 10

// form is a multipart form with one file, read as it comes (RFC 7578).
type form struct {
	field string
	parts *multipart.Reader
	// File is the file's contents, Name what the sender calls it.
	File io.Reader
	Name string
}

// form reads the body up to where the file of the route's field begins.
func (c *Call) form(mostFile int64) (*form, error) {
	mediaType, params, err := mime.ParseMediaType(c.Header("Content-Type"))
	switch {
	case err != nil || mediaType != "multipart/form-data":
		return nil, fault.New(fault.Unsupported, "unsupported_media_type",
			fmt.Sprintf("The Content-Type is not taken here; send multipart/form-data with the file in the field %s.", c.Route.Upload))
	case params["boundary"] == "" || len(params["boundary"]) > 70:
		return nil, malformedForm(errors.New("no boundary"))
	}
	body, err := c.stream(mostFile + formOverhead)
	if err != nil {
		return nil, err
	}
	f := &form{field: c.Route.Upload, parts: multipart.NewReader(body, params["boundary"])}
	part, err := f.parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, f.wrong("required", "is required; send the file in this field")
	case err != nil:
		return nil, malformedForm(err)
	case part.FormName() != f.field:
		return nil, f.unknown(part)
	case part.FileName() == "":
		return nil, f.wrong("filename", `holds no file; choose one, and send its name, such as filename="customers.csv"`)
	}
	f.File, f.Name = part, part.FileName()
	return f, nil
}

// End makes sure that nothing follows the file.
func (f *form) End() error {
	part, err := f.parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return malformedForm(err)
	case part.FormName() == f.field:
		return f.wrong("max", "stands more than once; send one file in each request")
	default:
		return f.unknown(part)
	}
}

func (f *form) wrong(code, detail string) error {
	return fault.Values(fault.Violation{Pointer: "/" + f.field, Code: code, Detail: detail})
}

func (f *form) unknown(part *multipart.Part) error {
	name := []rune(part.FormName())
	return fault.Values(fault.Violation{
		Pointer: "/" + string(name[:min(len(name), 100)]), Code: "unknown_field",
		Detail: "is not known here; the form has the field " + f.field + " alone",
	})
}

// malformedForm keeps a fault of the body's, and else says that it is no form.
func malformedForm(err error) error {
	if f, ok := fault.As(err); ok {
		return f
	}
	return fault.New(fault.Malformed, "malformed_form",
		"The body is no multipart form, or its boundary is not the one that Content-Type names.").Because(err)
}
