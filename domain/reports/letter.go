package reports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Letter is a report as it is mailed.
type Letter struct {
	ReportID     tenancy.ID
	Organization string
	// Title and Day are what it is called: "Daily sales", "Tuesday, 24 November 2026".
	Title, Day string
	// Version is the report's.
	Version int64
	// Summary is a line that says what matters most.
	Summary string
	// HTML is a fragment to stand in a mail's layout, with its styles in its tags; Text says the same.
	HTML, Text string
	Files      []Rendered
	Told       []Person
}

// mailedSections is how many sections a mail shows; the rest is in the report itself. A mail of more than 100 KB is cut by
// the programs of many.
const mailedSections = 4

// Letter writes a report for the subscribers of a schedule. clean makes what people wrote, such as names, fit for a mail.
func (s *Service) Letter(ctx context.Context, scope tenancy.Scope, m Mailing, clean func(string) string) (Letter, error) {
	report, document, err := s.document(ctx, scope, m.ReportID)
	if err != nil {
		return Letter{}, goneFrom(err, "the report")
	}
	schedule, err := s.needs.Schedules.FindSchedule(ctx, scope, m.ScheduleID)
	if err != nil {
		return Letter{}, goneFrom(err, "the schedule")
	}
	if len(schedule.Subscribers) == 0 {
		return Letter{ReportID: report.ID}, nil
	}
	l := Letter{ReportID: report.ID, Organization: document.Organization, Title: document.Title, Day: document.Subtitle, Version: report.Version}
	if l.Told, err = s.needs.Directory.FindMembers(ctx, scope, schedule.Subscribers); err != nil || len(l.Told) == 0 {
		return l, err
	}
	for _, format := range schedule.Formats {
		file, err := s.render(report.Head, document, Format(format))
		if err != nil {
			return Letter{}, err
		}
		l.Files = append(l.Files, file)
	}
	shown := document.withTexts(clean)
	l.Summary = summary(shown)
	if rest := len(shown.Sections) - mailedSections; rest > 0 {
		left := make([]string, 0, rest)
		for _, section := range shown.Sections[mailedSections:] {
			left = append(left, section.Title)
		}
		shown.Sections = shown.Sections[:mailedSections]
		shown.Footer = append([]string{fmt.Sprintf("%d more parts are in the report itself: %s.", rest, listed(left))}, shown.Footer...)
	}
	var html bytes.Buffer
	if err := s.pages.mail.Execute(&html, shown); err != nil {
		return Letter{}, jobs.Permanent(fmt.Errorf("write the mail of a report: %w", err))
	}
	l.HTML, l.Text = html.String(), plainText(shown)
	return l, nil
}

// summary is the first figure of each of the first sections.
func summary(d Document) string {
	var parts []string
	for _, section := range d.Sections[:min(len(d.Sections), 3)] {
		if len(section.Figures) == 0 {
			continue
		}
		f := section.Figures[0]
		currency := ""
		if f.Value.Kind == MoneyCell {
			currency = f.Value.Currency + space
		}
		parts = append(parts, f.Label+" "+currency+f.Value.String())
	}
	return strings.Join(parts, ", ")
}

// listed is names separated by commas, the first few of many.
func listed(names []string) string {
	const most = 8
	var b bytes.Buffer
	for i, name := range names {
		if i == most {
			b.WriteString(" …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	return b.String()
}

// goneFrom ends a job whose subject is no longer there.
func goneFrom(err error, what string) error {
	if fault.KindOf(err) == fault.NotFound {
		return jobs.Cancel(errors.Join(fmt.Errorf("%s is gone", what), err))
	}
	return err
}
