package notices

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"path"
	"strings"
	"text/template"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed templates
var templates embed.FS

// language is the one that mails are written in: a folder of templates. A second one is a second folder, and a user's
// choice of it.
const language = "en"

// words is the template with what the layouts themselves say.
const words = "words"

// Values are what a mail's text may speak of. What people wrote is cleaned before a template sees it: it can be
// neither a link nor a line of its own.
type Values struct {
	// Product and ProductURL are filled in.
	Product, ProductURL string
	// Name is the recipient's; "" where nobody knows it.
	Name string
	// Link is where the button leads.
	Link string
	// Hours is how long the link is good.
	Hours int
	// Organization, Who, Role, Thing, Scopes, Device and Address say what happened where, and by whom.
	Organization, Who, Role, Thing, Scopes, Device, Address string
	// URL is a customer's server. Like what people wrote it is shown and cannot be clicked.
	URL string
	// Format is what a file is written as, and Count how many records it holds.
	Format string
	Count  int64
	// Gone says that the server asked for no more; else it only failed.
	Gone bool
	// Rich and Plain are what a mail shows as it is beside its texts, as HTML that was rendered by a template and as text:
	// a report.
	Rich  htmltemplate.HTML
	Plain string
	// Day is what a report is about, Report what it is called.
	Day, Report string
	// Revised says that the report is not the first of its day.
	Revised bool
	// At is when it happened, Began when the session or the failing did, Until when the link ends.
	At, Began, Until time.Time
}

// Letters renders mails.
type Letters struct {
	product Product
	texts   map[string]*template.Template
	plain   *template.Template
	html    *htmltemplate.Template
	// fallback is what stands before the link for those whose program shows no button.
	fallback string
}

// parts are the blocks that the template of each mail has; all but subject, title, body and why may be empty.
func parts() []string {
	return []string{"subject", "preheader", "title", "body", "facts", "action", "after", "why"}
}

// NewLetters reads the templates.
func NewLetters(product Product) (*Letters, error) {
	l := &Letters{product: product, texts: make(map[string]*template.Template)}
	folder := path.Join("templates", language)
	files, err := templates.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("read the mails' templates: %w", err)
	}
	var fallback strings.Builder
	functions := template.FuncMap{"time": moment, "day": day, "hours": lifetime}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".txt")
		t, err := template.New(name).Funcs(functions).Option("missingkey=error").ParseFS(templates, path.Join(folder, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the mail %s: %w", name, err)
		}
		if name == words {
			if err := t.ExecuteTemplate(&fallback, "fallback", nil); err != nil {
				return nil, fmt.Errorf("read the layouts' words: %w", err)
			}
			continue
		}
		for _, part := range parts() {
			if t.Lookup(part) == nil {
				return nil, fmt.Errorf("the mail %s has no part %q", name, part)
			}
		}
		l.texts[name] = t
	}
	l.fallback = fallback.String()
	if l.plain, err = template.New("layout.txt").Funcs(template.FuncMap{"wrap": wrap, "upper": strings.ToUpper}).
		ParseFS(templates, "templates/layout.txt"); err != nil {
		return nil, fmt.Errorf("read the layout of text: %w", err)
	}
	if l.html, err = htmltemplate.ParseFS(templates, "templates/layout.html"); err != nil {
		return nil, fmt.Errorf("read the layout of HTML: %w", err)
	}
	return l, nil
}

// Names are the mails that there are.
func (l *Letters) Names() []string {
	names := make([]string, 0, len(l.texts))
	for name := range l.texts {
		names = append(names, name)
	}
	return names
}

// content is what both layouts lay out.
type content struct {
	Language, Product, ProductURL  string
	Subject, Preheader, Title, Why string
	Body, After                    []string
	Facts                          []fact
	Action, Link, Fallback         string
	Rich                           htmltemplate.HTML
	Plain                          string
}

type fact struct{ Label, Value string }

// Write renders a mail by its name. It has no recipient yet.
func (l *Letters) Write(name string, values Values) (Mail, error) {
	t := l.texts[name]
	if t == nil {
		return Mail{}, fmt.Errorf("there is no mail %q", name)
	}
	values.Product, values.ProductURL = l.product.Name, l.product.URL
	for _, text := range []*string{
		&values.Name, &values.Organization, &values.Who, &values.Thing, &values.Scopes, &values.Device, &values.Address,
		&values.URL,
	} {
		*text = quiet(*text)
	}
	said := make(map[string]string)
	for _, part := range parts() {
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, part, values); err != nil {
			return Mail{}, fmt.Errorf("write the mail %s: %w", name, err)
		}
		said[part] = strings.TrimSpace(b.String())
	}
	c := content{
		Language: language, Product: values.Product, ProductURL: values.ProductURL,
		Subject: said["subject"], Preheader: said["preheader"], Title: said["title"], Why: said["why"],
		Body: paragraphs(said["body"]), After: paragraphs(said["after"]), Facts: facts(said["facts"]),
		Action: said["action"], Link: values.Link, Fallback: l.fallback, Rich: values.Rich, Plain: values.Plain,
	}
	var text, html bytes.Buffer
	if err := l.plain.Execute(&text, c); err != nil {
		return Mail{}, fmt.Errorf("lay out the text of %s: %w", name, err)
	}
	if err := l.html.Execute(&html, c); err != nil {
		return Mail{}, fmt.Errorf("lay out the HTML of %s: %w", name, err)
	}
	return Mail{Subject: c.Subject, Text: text.String(), HTML: html.String()}, nil
}

// paragraphs are the texts between blank lines, each on one line.
func paragraphs(text string) []string {
	var found []string
	for p := range strings.SplitSeq(text, "\n\n") {
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			found = append(found, p)
		}
	}
	return found
}

// facts are lines of "Label: value"; one without a value is left out.
func facts(text string) []fact {
	var found []fact
	for line := range strings.Lines(text) {
		label, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if value = strings.TrimSpace(value); value != "" {
			found = append(found, fact{label, value})
		}
	}
	return found
}

// maxQuoted is how much of what somebody wrote is repeated in a mail, in runes.
const maxQuoted = 120

// quiet is what somebody wrote, as it may stand in a mail to somebody else: on one line, not for long, and without
// anything that a reader's program would make a link of. A name such as "Win at evil.example" would otherwise be sent
// in our name to whoever is invited. The dots and slashes of a link are replaced by ones that look like them.
func quiet(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == utf8.RuneError, unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return ' '
		case r == '@':
			return '\uFF20'
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > maxQuoted {
		runes = append(runes[:maxQuoted-1], '…')
	}
	for i, r := range runes {
		isInside := i > 0 && i+1 < len(runes) && runes[i-1] != ' ' && runes[i+1] != ' '
		switch {
		case r == '.' && isInside && !unicode.IsDigit(runes[i+1]):
			runes[i] = '\u2024'
		case r == ':' && i+2 < len(runes) && runes[i+1] == '/' && runes[i+2] == '/':
			runes[i] = '\uA789'
		}
	}
	return string(runes)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006 at 15:04 UTC")
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

func lifetime(n int) string {
	if n == 1 {
		return "one hour"
	}
	return fmt.Sprintf("%d hours", n)
}

// wrap breaks a paragraph into lines of at most 72 characters; a word that is longer, such as a link, stays whole.
func wrap(text string) string {
	const most = 72
	var b strings.Builder
	width := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case width+1+n > most:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String()
}
