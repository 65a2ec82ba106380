package mailsink

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Mail is a mail that was caught.
type Mail struct {
	ID int `json:"id"`
	// At is when it arrived.
	At time.Time `json:"at"`
	// From, To and Subject are what the mail says, decoded; where it says nothing, what the envelope says.
	From      string `json:"from"`
	To        string `json:"to"`
	Subject   string `json:"subject"`
	MessageID string `json:"message_id"`
	// Sender and Recipients are the envelope's: where it really went.
	Sender     string   `json:"sender"`
	Recipients []string `json:"recipients"`
	Text       string   `json:"text"`
	HTML       string   `json:"html"`
	// Links are the addresses in it, each once.
	Links  []string            `json:"links"`
	Header map[string][]string `json:"header"`
	Raw    []byte              `json:"-"`
}

// parse reads what it can of a mail: a broken one is shown raw.
func parse(k kept) Mail {
	m := Mail{
		ID: k.ID, At: k.At, Sender: k.From, Recipients: k.To, From: k.From, To: strings.Join(k.To, ", "), Raw: k.Raw,
		Links: []string{}, Header: map[string][]string{},
	}
	message, err := mail.ReadMessage(bytes.NewReader(k.Raw))
	if err != nil {
		m.Text = string(k.Raw)
		return m
	}
	m.Header = message.Header
	for _, field := range []struct {
		name string
		into *string
	}{{"From", &m.From}, {"To", &m.To}, {"Subject", &m.Subject}, {"Message-ID", &m.MessageID}} {
		value := message.Header.Get(field.name)
		shown := decodeHeader(value)
		if list, err := mail.ParseAddressList(value); err == nil && (field.into == &m.From || field.into == &m.To) {
			shown = readable(list)
		}
		if shown != "" {
			*field.into = shown
		}
	}
	m.read(textproto.MIMEHeader(message.Header), message.Body, 0)
	for _, link := range links.FindAllString(m.Text+" "+strings.ReplaceAll(m.HTML, "&amp;", "&"), -1) {
		if link = trimLink(link); !slices.Contains(m.Links, link) {
			m.Links = append(m.Links, link)
		}
	}
	return m
}

var links = regexp.MustCompile(`https?://[^\s"'<>]+`)

// trimLink is a link without the mark of the sentence that it ends.
func trimLink(link string) string { return strings.TrimRight(link, ".,;:!?)") }

func decodeHeader(value string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		return value
	}
	return decoded
}

// readable is addresses as people write them, without the quotes that they need on their way.
func readable(list []*mail.Address) string {
	all := make([]string, len(list))
	for i, a := range list {
		all[i] = a.Address
		if a.Name != "" {
			all[i] = a.Name + " <" + a.Address + ">"
		}
	}
	return strings.Join(all, ", ")
}

const maxDepth = 10

// read takes the first text and the first HTML among a part and its parts.
func (m *Mail) read(header textproto.MIMEHeader, body io.Reader, depth int) {
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && depth < maxDepth {
		parts := multipart.NewReader(body, parameters["boundary"])
		for {
			part, err := parts.NextRawPart()
			if err != nil {
				return
			}
			m.read(part.Header, part, depth+1)
		}
	}
	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	data, _ := io.ReadAll(body) // as much as can be read
	text := strings.ToValidUTF8(strings.ReplaceAll(string(data), "\r\n", "\n"), "\uFFFD")
	switch {
	case kind == "text/plain" && m.Text == "":
		m.Text = text
	case kind == "text/html" && m.HTML == "":
		m.HTML = text
	}
}
