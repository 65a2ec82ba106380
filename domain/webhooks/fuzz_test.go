package webhooks_test

import (
	"encoding/json"
	"testing"

	"github.com/groundwork-saas/groundwork/domain/webhooks"
)

// FuzzPassesFilter shows that no filter and no payload brings the fan-out down.
func FuzzPassesFilter(f *testing.F) {
	f.Add(`{"data.status":["paid"]}`, `{"status":"paid"}`)
	f.Add(`{"data.a.b":1e999}`, `[[[{"a":[{"b":1}]}]]]`)
	f.Add(`{"data":1,"":null}`, `null`)
	f.Add(`{"data":{}}`, `{}`)
	f.Fuzz(func(_ *testing.T, filter, data string) {
		var wanted map[string]any
		if json.Unmarshal([]byte(filter), &wanted) == nil {
			webhooks.PassesFilter(wanted, []byte(data))
		}
	})
}
