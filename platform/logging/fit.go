package logging

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sirupsen/logrus"
)

// maxLine is how many bytes a line has at most, its end included. Docker writes down what a container says in pieces of 16 KiB:
// half a line is no JSON, and nobody finds it by its fields.
const maxLine = 16 << 10

// fit makes an entry's line of JSON, and shortens its longest text by half until it is no longer than maxLine. The entry is
// changed.
func (f *formatter) fit(entry *logrus.Entry) ([]byte, error) {
	for {
		line, err := f.next.Format(entry)
		if err != nil || len(line) <= maxLine || !shorten(entry) {
			return line, err
		}
		if entry.Buffer != nil {
			entry.Buffer.Reset() // logrus' formatters append to it
		}
	}
}

// shorten halves the longest text of an entry. It returns false where none is left that is worth it: fields without number make
// a long line too.
func shorten(entry *logrus.Entry) bool {
	name, text := "", entry.Message
	for field, value := range entry.Data {
		if s := asText(value); len(s) > len(text) {
			name, text = field, s
		}
	}
	const least = 64
	if len(text) < least {
		return false
	}
	if name == "" {
		entry.Message = half(text)
	} else {
		entry.Data[name] = half(text)
	}
	return true
}

// asText is a text, or the JSON of what is made of several values, or "" for what is short anyway.
func asText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case map[string]any, []any:
		encoded, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(encoded)
	default:
		return ""
	}
}

const cut = "… (cut)"

func half(text string) string {
	text = strings.TrimSuffix(text, cut)
	end := len(text) / 2
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + cut
}
