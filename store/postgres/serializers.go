package postgres

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm/schema"
)

// registerSerializers names the ways in which fields of resources are kept that are no scalar: `gorm:"serializer:json"`
// for jsonb, whose numbers stay as they were written, and `gorm:"serializer:text_list"` for text[].
func registerSerializers() {
	schema.RegisterSerializer("json", jsonSerializer{})
	schema.RegisterSerializer("text_list", textListSerializer{})
}

type jsonSerializer struct{}

// Scan reads jsonb.
func (jsonSerializer) Scan(ctx context.Context, field *schema.Field, dst reflect.Value, value any) error {
	target := reflect.New(field.FieldType)
	if text, ok := bytesOf(value); ok {
		if err := readJSON(text, target.Interface()); err != nil {
			return fmt.Errorf("read %s as JSON: %w", field.DBName, err)
		}
	}
	field.ReflectValueOf(ctx, dst).Set(target.Elem())
	return nil
}

// readJSON leaves numbers as they were written where the target does not say what they are.
func readJSON(text []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(target) //nolint:wrapcheck // the caller names the column
}

// Value writes jsonb.
func (jsonSerializer) Value(_ context.Context, _ *schema.Field, _ reflect.Value, value any) (any, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return string(b), nil
}

type textListSerializer struct{}

// Scan reads text[].
func (textListSerializer) Scan(ctx context.Context, field *schema.Field, dst reflect.Value, value any) error {
	list := []string{}
	if text, ok := bytesOf(value); ok {
		var err error
		if list, err = parseTextList(string(text)); err != nil {
			return fmt.Errorf("read %s: %w", field.DBName, err)
		}
	}
	field.ReflectValueOf(ctx, dst).Set(reflect.ValueOf(list))
	return nil
}

// Value writes text[].
func (textListSerializer) Value(_ context.Context, _ *schema.Field, _ reflect.Value, value any) (any, error) {
	list, ok := value.([]string)
	if !ok {
		return nil, fmt.Errorf("postgres: a text_list is a []string, not a %T", value)
	}
	return textList(list), nil
}

func bytesOf(value any) ([]byte, bool) {
	switch v := value.(type) {
	case []byte:
		return v, true
	case string:
		return []byte(v), true
	default:
		return nil, false
	}
}

// textList is a one-dimensional text[] in PostgreSQL's text form.
type textList []string

// Value writes {"a","b"}.
func (l textList) Value() (driver.Value, error) {
	var c textColumn
	for _, s := range l {
		c.add(s)
	}
	return c.String(), nil
}

// textColumn is a one-dimensional text[] in PostgreSQL's text form, put together element by element.
type textColumn struct{ text []byte }

// add appends a text. Every text is quoted, so that none reads as NULL.
func (c *textColumn) add(s string) {
	c.separate()
	c.text = append(c.text, '"')
	from := 0
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			c.text = append(append(c.text, s[from:i]...), '\\')
			from = i
		}
	}
	c.text = append(append(c.text, s[from:]...), '"')
}

func (c *textColumn) addNull() {
	c.separate()
	c.text = append(c.text, "NULL"...)
}

func (c *textColumn) separate() {
	if len(c.text) == 0 {
		c.text = append(c.text, '{')
	} else {
		c.text = append(c.text, ',')
	}
}

// String is the array as it is so far.
func (c *textColumn) String() string {
	if len(c.text) == 0 {
		return "{}"
	}
	return string(c.text) + "}"
}

var errNotTextList = errors.New("postgres: not the text form of a one-dimensional text[]")

// parseTextList reads what Value writes, and what PostgreSQL makes of it, which quotes only where it must.
func parseTextList(text string) ([]string, error) {
	body, ok := strings.CutPrefix(text, "{")
	body, closed := strings.CutSuffix(body, "}")
	if !ok || !closed {
		return nil, errNotTextList
	}
	list := []string{}
	if body == "" {
		return list, nil
	}
	var element strings.Builder
	quoted := false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '\\' && i+1 < len(body):
			i++
			element.WriteByte(body[i])
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			list = append(list, element.String())
			element.Reset()
		case c == '{' && !quoted:
			return nil, errNotTextList
		default:
			element.WriteByte(c)
		}
	}
	if quoted {
		return nil, errNotTextList
	}
	return append(list, element.String()), nil
}
