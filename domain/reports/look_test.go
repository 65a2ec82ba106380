package reports_test

import (
	"html/template"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/notices"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/reports/reportstest"
)

func TestRender(t *testing.T) {
	t.Parallel()
	letters, err := notices.NewLetters(notices.Product{Name: "Groundwork", URL: "https://app.example.com"})
	require.NoError(t, err)
	for name, d := range reportstest.Cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, mail, text := reports.RenderPage(t, d), reports.RenderMail(t, d), reports.PlainText(d)
			reports.Look(t, name+".html", []byte(page))
			whole, err := letters.Write("report", notices.Values{
				Name: "Ada", Organization: d.Organization, Report: d.Title, Day: d.Subtitle, Thing: "Orders 7", Link: "https://app.example.com/reports/1",
				Rich: template.HTML(mail), Plain: text,
			})
			require.NoError(t, err)
			reports.Look(t, name+".mail.html", []byte(whole.HTML))
			reports.Look(t, name+".mail.txt", []byte(whole.Subject+"\n\n"+whole.Text))
			reports.Look(t, name+".txt", []byte(text))
			for _, html := range []string{page, mail} {
				reports.IsHTML(t, html)
				assert.NotContains(t, html, "<img", "what it says does not depend on images")
			}
			for _, section := range d.Sections {
				for _, f := range section.Figures {
					for what, rendered := range map[string]string{"page": page, "mail": mail, "text": text} {
						assert.Contains(t, rendered, f.Value.String(), "%s has %s", what, f.Label)
					}
				}
			}
			for _, row := range reports.ReadTable(t, d) {
				assert.Len(t, row, 5)
				for _, cell := range row {
					assert.NotRegexp(t, `^[=+@\t\r]`, cell, "a spreadsheet would take it for a formula")
				}
			}
		})
	}
}
