package survey_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/logging"
	"github.com/groundwork-saas/groundwork/scheduler/internal/survey"
)

func TestSurvey(t *testing.T) {
	t.Parallel()
	var away error
	source := survey.Source{Name: "webhook endpoints", Ask: func(context.Context) ([]survey.Figure, error) {
		return []survey.Figure{{Metric: survey.WebhookEndpoints, Labels: []string{"disabled"}, Value: 2}}, away
	}}
	other := survey.Source{Name: "redis", Ask: func(context.Context) ([]survey.Figure, error) {
		return []survey.Figure{{Metric: survey.RedisClients, Value: 7}}, nil
	}}
	var out bytes.Buffer
	registry := prometheus.NewRegistry()
	s := survey.New(registry, logging.New(logging.Config{Output: &out}))
	names := []string{survey.WebhookEndpoints, survey.RedisClients}
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(""), names...), "nothing is shown before it was asked")

	s.Ask(t.Context(), source)
	s.Ask(t.Context(), other)
	const clients = "# HELP groundwork_redis_clients Connections to Redis, of all its clients.\n# TYPE groundwork_redis_clients gauge\ngroundwork_redis_clients 7\n"
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(clients+
		"# HELP groundwork_webhook_endpoints Webhook endpoints that are not deleted, by state.\n# TYPE groundwork_webhook_endpoints gauge\n"+
		"groundwork_webhook_endpoints{state=\"disabled\"} 2\n"), names...))
	assert.Empty(t, out.String())

	away = errors.New("it is away")
	s.Ask(t.Context(), source)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(clients), names...), "what could not be asked is not shown")
	assert.Contains(t, out.String(), "it is away")
}

func TestComponent(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	source := survey.Source{Name: "x", Every: 1 << 40, Ask: func(context.Context) ([]survey.Figure, error) {
		asked <- struct{}{}
		return nil, nil
	}}
	part := survey.New(prometheus.NewRegistry(), logging.New(logging.Config{}), source).Component(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- part.Serve() }()
	<-asked
	require.NoError(t, part.Stop(t.Context()))
	require.NoError(t, <-ended)
}
