// Package running finds the stack that `make run` runs, for the programs that measure it.
//
// It knows the stack by stack.json only.
package running

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/groundwork-saas/groundwork/deployments/internal/client"
)

// Find returns a client that is signed in as the demo tenant. It reads stack.json in LOCAL_DIR, .local where that is not set.
func Find() (*client.Client, error) {
	path := filepath.Join(cmp.Or(os.Getenv("LOCAL_DIR"), ".local"), "stack.json")
	data, err := os.ReadFile(path) //nolint:gosec // LOCAL_DIR is whoever runs this program's
	if err != nil {
		return nil, fmt.Errorf("find the running stack (start one with make run): %w", err)
	}
	var file struct {
		API  string `json:"api"`
		Demo struct {
			APIKey string `json:"api_key"`
		} `json:"demo"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &client.Client{Origin: file.API, Token: file.Demo.APIKey, HTTP: &http.Client{Timeout: time.Hour}}, nil
}
