package resource

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPlainNumber(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"0": "0", "-0": "0", "-0.0": "0.0", "12": "12", "-12.50": "-12.50", "1e2": "100", "1E+2": "100", "1.5e1": "15",
		"1.50e1": "15.0", "12e-1": "1.2", "100e-1": "10.0", "-2E-3": "-0.002", "0.05e1": "0.5", "0e5": "0", "-0e-2": "0.00",
		"123.456e1": "1234.56", "123.456e-4": "0.0123456", "1e9999999999999999999": "1e9999999999999999999", "1e1001": "1e1001",
	} {
		assert.Equal(t, want, plainNumber(written), written)
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	type thing struct {
		Base

		At     time.Time      `json:"at"     api:"plain"`
		Maybe  *time.Time     `json:"maybe"  api:"plain"`
		Never  *time.Time     `json:"never"  api:"plain"`
		Tags   []string       `json:"tags"   api:"plain" gorm:"serializer:text_list"`
		Custom map[string]any `json:"custom" api:"plain" gorm:"serializer:json"`
		Empty  map[string]any `json:"empty"  api:"plain" gorm:"serializer:json"`
	}
	d := Define[thing](Options{Name: "thing", Plural: "things"})
	at := time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.FixedZone("", -3600)).Add(-time.Hour)
	want := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	e := &thing{At: at, Maybe: new(at), Custom: map[string]any{
		"n": json.Number("1e2"), "list": []any{json.Number("2E0"), map[string]any{"deep": json.Number("-0")}, nil, "1e2", true},
	}}
	d.settle(e)
	assert.Equal(t, &thing{At: want, Maybe: &want, Tags: []string{}, Empty: map[string]any{}, Custom: map[string]any{
		"n": json.Number("100"), "list": []any{json.Number("2"), map[string]any{"deep": json.Number("0")}, nil, "1e2", true},
	}}, e)
}
