package postgres

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/jobs"
)

func TestSurvey(t *testing.T) {
	t.Parallel()
	s := newJobsSample(t)
	survey := NewSurvey(s.open(t, s.SystemURL))
	one, two := s.scope(t), s.scope(t)
	for range 3 {
		done := s.start(t, one)
		require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(done), State: jobs.Succeeded}))
	}
	old := s.start(t, two)
	require.True(t, s.settle(t, jobs.Outcome{Attempt: attemptOf(old), State: jobs.Succeeded}))
	s.Exec(t, "update jobs_finished set id = uuid7_floor(now() - interval '10 minutes') where tenant_id = $1", two.Tenant.String())
	s.enqueue(t, two, newJob1(), newJob1())
	s.enqueue(t, one, newJob1())
	s.Exec(t, "insert into file_usage (tenant_id, bytes, files) values ($1, 4096, 1), ($2, 0, 0)", two.Tenant.String(), one.Tenant.String())

	uses, err := survey.TopTenants(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, []TenantUse{
		{"file_bytes", two.Tenant, 4096}, {"jobs_ended", one.Tenant, 3}, {"jobs_waiting", two.Tenant, 2}, {"jobs_waiting", one.Tenant, 1},
	}, uses)
	uses, err = survey.TopTenants(t.Context(), 1)
	require.NoError(t, err)
	assert.Len(t, uses, 3, "one of each measure")

	database, err := survey.Database(t.Context())
	require.NoError(t, err)
	assert.Greater(t, database.Bytes, int64(1<<20))
	assert.Positive(t, database.Connections)
	assert.Greater(t, database.ConnectionsMax, database.Connections)

	tables, err := survey.Tables(t.Context())
	require.NoError(t, err)
	bytes := make(map[string]int64)
	for _, table := range tables {
		bytes[table.Table] = table.Bytes
	}
	assert.Positive(t, bytes["jobs"])
	assert.Positive(t, bytes["jobs_finished"], "a table with its partitions")
	assert.NotContains(t, bytes, "jobs_finished_default", "partitions are their table's")

	endpoints, err := survey.Endpoints(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []EndpointCount{{"disabled", 0}, {"enabled", 0}, {"paused", 0}}, endpoints)
}
