package jobs_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/webhooks"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/store/backend"
	handlers "github.com/groundwork-saas/groundwork/worker/internal/jobs"
)

func TestMeasured(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/well" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	caller, err := backend.NewCaller([]string{"127.0.0.0/8"}, config.Production)
	require.NoError(t, err)
	t.Cleanup(caller.Close)
	registry := prometheus.NewRegistry()
	sender := handlers.Measured(caller, registry, time.Now)

	post := func(url string) { _, _ = sender.Post(t.Context(), webhooks.Message{URL: url}) } // what it answers is what is measured
	post(server.URL + "/well")
	post(server.URL + "/ill")
	post(server.URL + "/ill")
	post("https://10.0.0.1/")
	server.Close()
	post(server.URL + "/well")

	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	counts := map[string]uint64{}
	for _, m := range families[0].GetMetric() {
		counts[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleCount()
	}
	assert.Equal(t, map[string]uint64{"2xx": 1, "5xx": 2, "refused": 1, "unanswered": 1}, counts)
}
