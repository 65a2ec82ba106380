package reference

import (
	"html"
	"html/template"
	"regexp"
	"strings"
)

// markdown renders the part of Markdown that our own texts are written in: headings, paragraphs, lists, fences, tables,
// `code`, **bold**, links and the anchors of tables' rows. Everything else is text. aliases are further anchors of rows.
func markdown(text string, aliases map[string][]string) template.HTML {
	w := &markdownWriter{aliases: aliases}
	lines := strings.Split(text, "\n")
	for len(lines) > 0 {
		lines = w.block(lines)
	}
	return template.HTML(w.out.String()) //nolint:gosec // every text in it was escaped on its way
}

type markdownWriter struct {
	out     strings.Builder
	aliases map[string][]string
}

func (w *markdownWriter) write(text string) { _, _ = w.out.WriteString(text) } // a builder takes everything

// block writes the block that the lines begin with, and returns the lines behind it.
func (w *markdownWriter) block(lines []string) []string {
	line := lines[0]
	switch {
	case strings.TrimSpace(line) == "":
		return lines[1:]
	case strings.HasPrefix(line, "# "):
		return lines[1:] // the page has a title of its own
	case strings.HasPrefix(line, "## "):
		title := line[3:]
		w.write(`<h2 id="` + Slug(title) + `">` + inline(title) + "</h2>\n")
		return lines[1:]
	case strings.HasPrefix(line, "```"):
		return w.fence(lines)
	case strings.HasPrefix(line, "- "):
		return w.list(lines)
	case strings.HasPrefix(line, "| "):
		return w.table(lines)
	default:
		return w.paragraph(lines)
	}
}

func (w *markdownWriter) fence(lines []string) []string {
	language := strings.TrimPrefix(lines[0], "```")
	var code []string
	rest := lines[1:]
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "```") {
		code, rest = append(code, rest[0]), rest[1:]
	}
	text := strings.Join(code, "\n")
	if language == "json" {
		w.write("<pre>" + string(highlight(text)) + "</pre>\n")
	} else {
		w.write("<pre>" + html.EscapeString(text) + "</pre>\n")
	}
	return rest[min(1, len(rest)):]
}

func (w *markdownWriter) list(lines []string) []string {
	w.write("<ul>\n")
	for len(lines) > 0 && strings.HasPrefix(lines[0], "- ") {
		item := []string{lines[0][2:]}
		lines = lines[1:]
		for len(lines) > 0 && strings.HasPrefix(lines[0], "  ") {
			item = append(item, strings.TrimSpace(lines[0]))
			lines = lines[1:]
		}
		w.write("<li>" + inline(strings.Join(item, " ")) + "</li>\n")
	}
	w.write("</ul>\n")
	return lines
}

func (w *markdownWriter) paragraph(lines []string) []string {
	var text []string
	for len(lines) > 0 && strings.TrimSpace(lines[0]) != "" && !strings.HasPrefix(lines[0], "- ") {
		text, lines = append(text, lines[0]), lines[1:]
	}
	w.write("<p>" + inline(strings.Join(text, " ")) + "</p>\n")
	return lines
}

func (w *markdownWriter) table(lines []string) []string {
	w.write(`<div class="scroll"><table>` + "\n<thead><tr>")
	for _, cell := range cells(lines[0]) {
		w.write("<th>" + inline(cell) + "</th>")
	}
	w.write("</tr></thead>\n<tbody>\n")
	lines = lines[min(2, len(lines)):]
	for len(lines) > 0 && strings.HasPrefix(lines[0], "| ") {
		w.row(cells(lines[0]))
		lines = lines[1:]
	}
	w.write("</tbody></table></div>\n")
	return lines
}

// statuses are a cell of them; failures link to #status-409.
var statuses = regexp.MustCompile(`^\d{3}(, \d{3})*$`)

var anchor = regexp.MustCompile(`^<a id="([A-Za-z0-9_.-]+)"></a>`)

func (w *markdownWriter) row(cells []string) {
	id, aliases := "", ""
	if found := anchor.FindStringSubmatch(cells[0]); found != nil {
		id = ` id="` + found[1] + `"`
		cells[0] = strings.TrimPrefix(cells[0], found[0])
		for _, alias := range w.aliases[found[1]] {
			aliases += `<span class="alias" id="` + html.EscapeString(alias) + `"></span>`
		}
	}
	if statuses.MatchString(cells[0]) {
		for status := range strings.SplitSeq(cells[0], ", ") {
			aliases += `<span class="alias" id="status-` + status + `"></span>`
		}
	}
	w.write("<tr" + id + ">")
	for i, cell := range cells {
		w.write("<td>")
		if i == 0 {
			w.write(aliases)
		}
		w.write(inline(cell) + "</td>")
	}
	w.write("</tr>\n")
}

func cells(line string) []string {
	parts := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

var (
	code = regexp.MustCompile("`([^`]+)`")
	bold = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	link = regexp.MustCompile(`\[([^\]]+)\]\((/[^)\s]*|https://[^)\s]+|#[^)\s]*)\)`)
)

// inline renders what stands within a line. Code is set aside first: nothing within it means anything.
func inline(text string) string {
	var out strings.Builder
	for {
		at := code.FindStringSubmatchIndex(text)
		if at == nil {
			out.WriteString(marks(text))
			return out.String()
		}
		out.WriteString(marks(text[:at[0]]) + "<code>" + html.EscapeString(text[at[2]:at[3]]) + "</code>")
		text = text[at[1]:]
	}
}

func marks(text string) string {
	text = html.EscapeString(text)
	text = bold.ReplaceAllString(text, "<strong>$1</strong>")
	return link.ReplaceAllString(text, `<a href="$2">$1</a>`)
}

// Slug is a heading's anchor: "API keys" is "api-keys".
func Slug(title string) string {
	return strings.Trim(notWord.ReplaceAllString(strings.ToLower(title), "-"), "-")
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)
