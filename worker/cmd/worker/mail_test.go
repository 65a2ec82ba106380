package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/groundwork-saas/groundwork/platform/config"
)

func TestMailSettings(t *testing.T) {
	t.Parallel()
	load := func(environ ...string) error {
		var cfg settings
		return config.Load(&cfg, nil, append([]string{
			"DATABASE_URL=postgres://x", "SYSTEM_DATABASE_URL=postgres://x", "REDIS_URL=redis://x", "MASTER_KEY=x",
		}, environ...))
	}
	require.NoError(t, load(), "without a mail server mails wait")
	good := []string{"SMTP_URL=smtp://ada:p%2Fss@mail.example.com:587", "MAIL_FROM=Acme <no-reply@acme.example>", "APP_URL=https://app.acme.example"}
	require.NoError(t, load(good...))
	for setting, want := range map[string]string{
		"MAIL_FROM=":                           "MAIL_FROM",
		"MAIL_FROM=Acme":                       "MAIL_FROM",
		"APP_URL=":                             "APP_URL",
		"APP_URL=app.acme.example":             "APP_URL",
		"APP_URL=https://app.acme.example/?x":  "APP_URL",
		"APP_URL=javascript:alert(1)":          "APP_URL",
		"SMTP_URL=http://mail.example.com":     "SMTP_URL",
		"SMTP_URL=smtp://ada:secret@host/path": "SMTP_URL",
	} {
		err := load(append(good[:len(good):len(good)], setting)...)
		require.Error(t, err, setting)
		assert.Contains(t, err.Error(), want, setting)
		assert.NotContains(t, err.Error(), "secret")
	}
}
