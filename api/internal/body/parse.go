// Package body reads JSON request bodies strictly.
//
// encoding/json lets duplicate keys, invalid UTF-8 and unknown fields through, and names at most one mistake; here each
// is an error that names where it stands (RFC 6901) and the way out, all of them at once. Handlers call Decode and
// Merge (RFC 7396); the package knows nothing of any resource's rules.
package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

// maxDepth bounds nesting: deeper documents are attacks or mistakes.
const maxDepth = 32

// object keeps a JSON object's members in the order that they were sent.
type object struct {
	keys   []string
	values map[string]any
}

func malformed(detail string) *fault.Error {
	return fault.New(fault.Malformed, "malformed_json", detail)
}

// parse reads one JSON document: object, []any, string, json.Number, bool or nil.
func parse(data []byte) (any, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, malformed("The body is empty; send a JSON object.")
	}
	if !utf8.Valid(data) {
		return nil, malformed("The body is not valid UTF-8; encode it as UTF-8.")
	}
	p := parser{decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	v, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	if _, err := p.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed(fmt.Sprintf("There is more after the JSON document's end at byte %d; send one document.", p.decoder.InputOffset()))
	}
	return v, nil
}

type parser struct{ decoder *json.Decoder }

func (p *parser) token() (json.Token, error) {
	t, err := p.decoder.Token()
	if err == nil {
		return t, nil
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, malformed(fmt.Sprintf("The body is not JSON: %s at byte %d.", syntax.Error(), syntax.Offset))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, malformed("The body ends before its JSON document does.")
	default:
		return nil, malformed("The body is not JSON.").Because(err)
	}
}

func (p *parser) value(pointer string, depth int) (any, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	return p.rest(t, pointer, depth)
}

func (p *parser) rest(t json.Token, pointer string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, malformed(fmt.Sprintf("The body is nested deeper than %d levels.", maxDepth))
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return p.object(pointer, depth)
		}
		return p.array(pointer, depth)
	case string:
		return t, noNUL(t, pointer)
	case json.Number:
		return t, bounded(t, pointer)
	default:
		return t, nil
	}
}

func (p *parser) object(pointer string, depth int) (any, error) {
	o := &object{values: map[string]any{}}
	for {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		key, ok := t.(string)
		if !ok {
			return o, nil
		}
		at := join(pointer, key)
		if err := noNUL(key, at); err != nil {
			return nil, err
		}
		if _, twice := o.values[key]; twice {
			return nil, &fault.Error{
				Kind: fault.Malformed, Code: "duplicate_key", Detail: "An object in the body has a key twice; send each once.",
				Violations: []fault.Violation{{Pointer: at, Code: "duplicate_key", Detail: "stands twice; send it once"}},
			}
		}
		v, err := p.value(at, depth+1)
		if err != nil {
			return nil, err
		}
		o.keys = append(o.keys, key)
		o.values[key] = v
	}
}

func (p *parser) array(pointer string, depth int) (any, error) {
	list := []any{}
	for {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		if t == json.Delim(']') {
			return list, nil
		}
		v, err := p.rest(t, pointer+"/"+strconv.Itoa(len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
}

func noNUL(s, pointer string) error {
	if !strings.ContainsRune(s, 0) {
		return nil
	}
	return fault.Values(fault.Violation{Pointer: pointer, Code: "nul", Detail: "holds a NUL character; remove it"})
}

// bounded refuses numbers that only a decimal of absurd size could keep.
func bounded(n json.Number, pointer string) error {
	if len(n) <= 64 && resource.NumberInRange(n) {
		return nil
	}
	return fault.Values(fault.Violation{Pointer: pointer, Code: "number", Detail: "is a number out of range"})
}

func join(pointer, key string) string {
	if strings.ContainsAny(key, "~/") {
		key = strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	}
	return pointer + "/" + key
}
