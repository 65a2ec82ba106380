package providers

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what some senders still sign with; as a MAC it is not broken
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"hash"
	"regexp"
	"slices"
	"strings"
	"time"
)

// generic is an HMAC whose details the source's settings say: for whoever has no file of its own here.
type generic struct{}

// Name is "hmac".
func (generic) Name() string { return "hmac" }

// The settings.
const (
	settingHeader          = "header"
	settingAlgorithm       = "algorithm"
	settingEncoding        = "encoding"
	settingPrefix          = "prefix"
	settingTimestampHeader = "timestamp_header"
	settingTemplate        = "template"
	settingIDHeader        = "id_header"
	settingIDField         = "id_field"
	settingTypeHeader      = "type_header"
	settingTypeField       = "type_field"
)

// Settings say where the signature stands and what is signed.
func (generic) Settings() []Setting {
	return []Setting{
		{Name: settingHeader, Help: "The header with the signature.", Default: "X-Signature", Check: checkHeaderName},
		{Name: settingAlgorithm, Help: "The hash.", Default: "sha256", OneOf: []string{"sha1", "sha256", "sha512"}},
		{Name: settingEncoding, Help: "How the signature is written.", Default: "hex", OneOf: []string{"hex", "base64"}},
		{Name: settingPrefix, Help: "What stands before the signature, such as sha256=.", Default: ""},
		{Name: settingTimestampHeader, Help: "The header with the time, in seconds or milliseconds or as RFC 3339; none by default.", Default: "", Check: checkHeaderName},
		toleranceSetting(),
		{Name: settingTemplate, Help: "What is signed: {body}, with {timestamp} and {id} where they are part of it.", Default: ""},
		{Name: settingIDHeader, Help: "The header with the event's id.", Default: "", Check: checkHeaderName},
		{Name: settingIDField, Help: "The field of a JSON body with the event's id, such as data.id.", Default: "", Check: checkPath},
		{Name: settingTypeHeader, Help: "The header with the event's type.", Default: "", Check: checkHeaderName},
		{Name: settingTypeField, Help: "The field of a JSON body with the event's type.", Default: "type", Check: checkPath},
	}
}

// CheckSecret takes any.
func (generic) CheckSecret(secret string) string { return checkAnySecret(secret) }

// CheckSettings sees to it that what a template names is there, and that a time which is believed is signed.
func (g generic) CheckSettings(s Settings) []Problem {
	var problems []Problem
	bad := func(name, detail string) { problems = append(problems, Problem{name, "invalid", detail}) }
	if s.text(settingHeader) == "" {
		problems = append(problems, Problem{settingHeader, "required", "is required; name the header with the signature"})
	}
	names := placeholders(g.template(s))
	for _, name := range names {
		switch name {
		case "body":
		case "timestamp":
			if s.text(settingTimestampHeader) == "" {
				bad(settingTemplate, "names {timestamp}; say in timestamp_header where it stands")
			}
		case "id":
			if s.text(settingIDHeader) == "" {
				bad(settingTemplate, "names {id}; say in id_header where it stands")
			}
		default:
			bad(settingTemplate, "names {"+name+"}; it may name {body}, {timestamp} and {id}")
		}
	}
	if !slices.Contains(names, "body") {
		bad(settingTemplate, "does not name {body}: anybody could change it")
	}
	if s.text(settingTimestampHeader) != "" && !slices.Contains(names, "timestamp") {
		bad(settingTemplate, "does not name {timestamp}: anybody could change it; leave timestamp_header out, or sign it")
	}
	return problems
}

// template is what is signed; by default the body, after the timestamp and a dot where there is one.
func (generic) template(s Settings) string {
	switch template := s.text(settingTemplate); {
	case template != "":
		return template
	case s.text(settingTimestampHeader) != "":
		return "{timestamp}.{body}"
	default:
		return "{body}"
	}
}

// Verify checks the signature that the settings describe.
func (g generic) Verify(m Message) (Event, error) {
	name := m.Settings.text(settingHeader)
	header, err := m.Headers.one(name)
	if err != nil {
		return Event{}, err
	}
	text, ok := strings.CutPrefix(header, m.Settings.text(settingPrefix))
	signature, valid := decode(m.Settings.text(settingEncoding), text)
	if !ok || !valid {
		return Event{}, refuse("%s is not of the form %s<%s>", name, m.Settings.text(settingPrefix), m.Settings.text(settingEncoding))
	}
	var at time.Time
	values := map[string]string{}
	if from := m.Settings.text(settingTimestampHeader); from != "" {
		if values["timestamp"], err = m.Headers.one(from); err != nil {
			return Event{}, err
		}
		if at, err = anyTime(values["timestamp"], from); err != nil {
			return Event{}, err
		}
		if err := checkAge(at, from, m.Settings.tolerance(), m.Now); err != nil {
			return Event{}, err
		}
	}
	template := g.template(m.Settings)
	if slices.Contains(placeholders(template), "id") {
		if values["id"], err = m.Headers.one(m.Settings.text(settingIDHeader)); err != nil {
			return Event{}, err
		}
	}
	if !matches(hashOf(m.Settings.text(settingAlgorithm)), m.Secrets, [][]byte{signature}, signed(template, values, m.Body)...) {
		return Event{}, errMismatch()
	}
	return g.event(m, at), nil
}

func (generic) event(m Message, at time.Time) Event {
	e := Event{OccurredAt: at}
	content := tree(m.Body)
	if e.ID = m.Headers.Get(m.Settings.text(settingIDHeader)); e.ID == "" {
		e.ID = field(content, m.Settings.text(settingIDField))
	}
	if e.Type = m.Headers.Get(m.Settings.text(settingTypeHeader)); e.Type == "" {
		e.Type = field(content, m.Settings.text(settingTypeField))
	}
	return e
}

func hashOf(algorithm string) func() hash.Hash {
	switch algorithm {
	case "sha1":
		return sha1.New
	case "sha512":
		return sha512.New
	default:
		return sha256.New
	}
}

var placeholder = regexp.MustCompile(`\{([a-z_]*)\}`)

func placeholders(template string) []string {
	var names []string
	for _, match := range placeholder.FindAllStringSubmatch(template, -1) {
		names = append(names, match[1])
	}
	return names
}

// signed is what a template says, in parts, so that the body is not copied.
func signed(template string, values map[string]string, body []byte) [][]byte {
	var parts [][]byte
	last := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(template, -1) {
		parts = append(parts, []byte(template[last:at[0]]))
		if name := template[at[2]:at[3]]; name == "body" {
			parts = append(parts, body)
		} else {
			parts = append(parts, []byte(values[name]))
		}
		last = at[1]
	}
	return append(parts, []byte(template[last:]))
}

// anyTime reads seconds, milliseconds (13 digits and more), or RFC 3339.
func anyTime(text, what string) (time.Time, error) {
	if t := parsedTime(text); !t.IsZero() {
		return t, nil
	}
	var n json.Number
	if err := json.Unmarshal([]byte(text), &n); err == nil {
		if count, err := n.Int64(); err == nil && count >= 0 {
			if len(text) >= 13 {
				return time.UnixMilli(count).UTC(), nil
			}
			return time.Unix(count, 0).UTC(), nil
		}
	}
	return time.Time{}, refuse("%s is no time: neither seconds nor milliseconds nor RFC 3339", what)
}

func checkPath(path string) string {
	for part := range strings.SplitSeq(path, ".") {
		if part == "" {
			return "is not the path of a field; write it as data.id"
		}
	}
	return ""
}

// tree is a JSON body with its numbers as they were written: an id of nineteen digits keeps them all.
func tree(body []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var content any
	if decoder.Decode(&content) != nil {
		return nil
	}
	return content
}

// field is the text or number at a path in a JSON body; "" where there is none.
func field(content any, path string) string {
	if path == "" {
		return ""
	}
	for part := range strings.SplitSeq(path, ".") {
		object, ok := content.(map[string]any)
		if !ok {
			return ""
		}
		content = object[part]
	}
	switch v := content.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return ""
	}
}
