package reference

import (
	"html"
	"html/template"
	"regexp"
	"strings"
)

// token finds what JSON is made of: a key, a string, a number, a word.
var token = regexp.MustCompile(`("(?:[^"\\]|\\.)*")(\s*:)?|-?\b\d+(?:\.\d+)?\b|\b(?:true|false|null)\b`)

// highlight colours JSON.
func highlight(text string) template.HTML {
	var out strings.Builder
	last := 0
	for _, at := range token.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(html.EscapeString(text[last:at[0]]))
		whole := text[at[0]:at[1]]
		switch {
		case at[4] >= 0: // a string with a colon behind it
			out.WriteString(`<span class="k">` + html.EscapeString(text[at[2]:at[3]]) + "</span>" + text[at[4]:at[5]])
		case at[2] >= 0:
			out.WriteString(`<span class="s">` + html.EscapeString(whole) + "</span>")
		default:
			out.WriteString(`<span class="n">` + whole + "</span>")
		}
		last = at[1]
	}
	out.WriteString(html.EscapeString(text[last:]))
	return template.HTML(out.String()) //nolint:gosec // every text in it was escaped on its way
}
