package limits_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/domain/limits"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]limits.Rate{
		"600/1m":        {Limit: 600, Per: time.Minute},
		"600/60s":       {Limit: 600, Per: time.Minute},
		"5/24h":         {Limit: 5, Per: 24 * time.Hour},
		"1/1ms":         {Limit: 1, Per: time.Millisecond},
		"10/1h30m":      {Limit: 10, Per: 90 * time.Minute},
		"1000000000/1s": {Limit: limits.MaxLimit, Per: time.Second},
		"off":           {},
	} {
		t.Run("reads_"+text, func(t *testing.T) {
			t.Parallel()
			got, err := limits.Parse(text)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
	for _, text := range []string{
		"", "600", "/", "600/", "/1m", "0/1m", "0/0s", "-1/1m", "1.5/1m", "600/1", "600/m", "600/0s", "600/-1m", "600/1us",
		"600/9000h", "1000000001/1s", "99999999999999999999/1s", "600/1m/1m", " 600/1m", "OFF", "600-M", "1/1ms1ns",
	} {
		t.Run("refuses_"+text, func(t *testing.T) {
			t.Parallel()
			_, err := limits.Parse(text)
			require.ErrorContains(t, err, `"`+text+`"`)
		})
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	t.Run("is_written_in_its_shortest_form", func(t *testing.T) {
		t.Parallel()
		for want, rate := range map[string]limits.Rate{
			"600/1m":     {Limit: 600, Per: time.Minute},
			"1/10m":      {Limit: 1, Per: 10 * time.Minute},
			"5/24h":      {Limit: 5, Per: 24 * time.Hour},
			"5/100h":     {Limit: 5, Per: 100 * time.Hour},
			"2/1h30m":    {Limit: 2, Per: 90 * time.Minute},
			"2/1h0m1s":   {Limit: 2, Per: time.Hour + time.Second},
			"3/1.5s":     {Limit: 3, Per: 1500 * time.Millisecond},
			"1/20s":      {Limit: 1, Per: 20 * time.Second},
			"1/1.0001ms": {Limit: 1, Per: time.Millisecond + 100*time.Nanosecond},
			"off":        {},
		} {
			assert.Equal(t, want, rate.String())
		}
	})
	t.Run("travels_as_text", func(t *testing.T) {
		t.Parallel()
		var rate limits.Rate
		require.NoError(t, rate.UnmarshalText([]byte("20/1s")))
		text, err := rate.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, "20/1s", string(text))
		require.Error(t, rate.UnmarshalText([]byte("20")))
		assert.Equal(t, limits.Rate{Limit: 20, Per: time.Second}, rate, "an error leaves it as it was")
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"600/1m", "5/24h", "off", "1/1ms", "1/1.5s", "x/y", "9/1h0m0.000001s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := limits.Parse(text)
		if err != nil {
			return
		}
		require.NoError(t, rate.Validate())
		again, err := limits.Parse(rate.String())
		require.NoError(t, err)
		require.Equal(t, rate, again)
	})
}
