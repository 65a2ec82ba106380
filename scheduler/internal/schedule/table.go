package schedule

import (
	"fmt"
	"time"

	"github.com/groundwork-saas/groundwork/domain/jobs"
	"github.com/groundwork-saas/groundwork/domain/reports"
	"github.com/groundwork-saas/groundwork/domain/schedules"
	"github.com/groundwork-saas/groundwork/domain/upkeep"
)

// Table is the product's recurring work. A line that is added begins with its first time after the deploy; one that is
// taken out is not met any more. The name of a line never changes.
func Table() ([]schedules.Schedule, error) {
	hourly, err := Cron("17 * * * *")
	if err != nil {
		return nil, fmt.Errorf("the table of schedules: %w", err)
	}
	return []schedules.Schedule{
		{
			Name: "purge-trash", Rule: schedules.Daily(2, 30), PerTenant: true, Spread: time.Hour,
			Job: func(schedules.Occurrence) jobs.Args { return upkeep.PurgeTrash{} },
		},
		{
			Name: "expire", Rule: hourly, Missed: schedules.CatchUp,
			Job: func(schedules.Occurrence) jobs.Args { return upkeep.Expire{} },
		},
		reports.NightlySchedule(),
	}, nil
}
