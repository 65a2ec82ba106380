package main

import (
	"testing"

	"github.com/groundwork-saas/groundwork/platform/config/configtest"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	t.Run("are_all_on_the_page_of_settings", func(t *testing.T) {
		t.Parallel()
		configtest.Page(t, "../../../docs/configuration.md", "api", &settings{})
	})
}
