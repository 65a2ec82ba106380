package main

import (
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadAddresses(t *testing.T) {
	t.Parallel()

	t.Run("listens on the loopback unless it is told otherwise", func(t *testing.T) {
		t.Parallel()
		all, err := readAddresses(t.Context(), map[string]string{"API_ADDR": ":8180"})
		require.NoError(t, err)
		assert.Equal(t, ":8180", all["API_ADDR"].String())
		assert.Equal(t, "127.0.0.1:9090", all["API_OPS_ADDR"].String())
		assert.Equal(t, "127.0.0.1:8081", all["INTAKE_ADDR"].String())
		assert.Equal(t, "127.0.0.1:9091", all["WORKER_OPS_ADDR"].String())
		assert.Equal(t, "127.0.0.1:9092", all["SCHEDULER_OPS_ADDR"].String())
	})

	t.Run("turns port 0 into free ports that differ", func(t *testing.T) {
		t.Parallel()
		variables := map[string]string{}
		for _, a := range defaultAddresses() {
			variables[a.variable] = "127.0.0.1:0"
		}
		all, err := readAddresses(t.Context(), variables)
		require.NoError(t, err)
		ports := map[int]bool{}
		for _, a := range all {
			assert.Positive(t, a.port)
			ports[a.port] = true
		}
		assert.Len(t, ports, len(variables))
	})

	for name, tc := range map[string]struct {
		variables map[string]string
		want      string
	}{
		"two that clash":   {map[string]string{"API_ADDR": ":9090"}, "both name port 9090"},
		"no port":          {map[string]string{"API_ADDR": "127.0.0.1"}, "API_ADDR: \"127.0.0.1\" is not an address to listen on"},
		"a port too large": {map[string]string{"WORKER_OPS_ADDR": ":70000"}, "WORKER_OPS_ADDR"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			_, err := readAddresses(t.Context(), tc.variables)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		":8080": "http://127.0.0.1:8080", "0.0.0.0:8080": "http://127.0.0.1:8080", "[::]:8080": "http://127.0.0.1:8080",
		"127.0.0.1:1": "http://127.0.0.1:1", "localhost:80": "http://localhost:80", "[::1]:80": "http://[::1]:80",
	} {
		host, port, err := parseAddress(t.Context(), value)
		require.NoError(t, err)
		assert.Equal(t, want, address{host: host, port: port}.origin(), value)
	}
}

func TestCheckPorts(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := parseAddress(t.Context(), l.Addr().String())
	require.NoError(t, err)
	err = checkPorts(t.Context(), []address{{"API_ADDR", "127.0.0.1", port}})
	require.ErrorContains(t, err, "API_ADDR: port "+strconv.Itoa(port)+" is taken by process "+strconv.Itoa(os.Getpid()))
	require.ErrorContains(t, err, "kill "+strconv.Itoa(os.Getpid()))
	require.ErrorContains(t, err, "API_ADDR=127.0.0.1:")
	require.NoError(t, l.Close())
	require.NoError(t, checkPorts(t.Context(), []address{{"API_ADDR", "127.0.0.1", port}}))
	assert.ErrorContains(t, checkPorts(t.Context(), []address{{"API_ADDR", "192.0.2.1", port}}), "cannot listen on 192.0.2.1")
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}
