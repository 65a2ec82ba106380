package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/groundwork-saas/groundwork/domain/schedules"
)

// cronRule is a rule in cron's syntax.
type cronRule struct {
	text  string
	times *cron.SpecSchedule
}

// Cron reads a rule in cron's syntax: minute, hour, day of the month, month, day of the week, or @hourly, @daily and the
// like. Where and when the wall hangs is the schedule's to say, so that a zone in the rule is refused.
func Cron(text string) (schedules.Recurrence, error) {
	if strings.Contains(text, "TZ=") {
		return nil, fmt.Errorf("cron rule %q: name the zone in the schedule, not in the rule", text)
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("cron rule %q: %w", text, err)
	}
	times, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("cron rule %q: an interval has no times of its own; write */10 * * * *", text)
	}
	times.Location = time.UTC // where each wall time comes, and comes once
	return cronRule{text: text, times: times}, nil
}

// Next is the first time after another one; the zero Wall where there is none within five years.
func (c cronRule) Next(after schedules.Wall) schedules.Wall {
	return schedules.WallOf(c.times.Next(after.Fields()))
}

// String says the rule.
func (c cronRule) String() string { return "cron " + c.text }
