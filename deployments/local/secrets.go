package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/devstack"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

// secrets are made once for a LOCAL_DIR and kept there, readable to its owner only.
type secrets struct {
	// MasterKey seals what is secret in the database: without it, what was sealed is lost.
	MasterKey string `json:"master_key"`
	// Passwords of the database's roles, by role.
	Passwords map[string]string `json:"passwords"`
	Demo      demo              `json:"demo"`
}

const secretsFile = "secrets.json"

// readSecrets reads them and makes those that are missing. masterKey, if given, is used instead of one of our own.
func readSecrets(dir, masterKey string) (*secrets, error) {
	s := &secrets{}
	b, err := os.ReadFile(filepath.Join(dir, secretsFile)) //nolint:gosec // below LOCAL_DIR
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read the secrets: %w", err)
	default:
		if err := json.Unmarshal(b, s); err != nil {
			return nil, fmt.Errorf("%s is not readable (%w): mend it, or remove %s to begin anew with an empty database",
				filepath.Join(dir, secretsFile), err, dir)
		}
	}
	if masterKey != "" {
		s.MasterKey = masterKey
	}
	if s.MasterKey == "" {
		if s.MasterKey, err = seal.NewMasterKey(); err != nil {
			return nil, fmt.Errorf("make a master key: %w", err)
		}
	}
	if s.Passwords == nil {
		s.Passwords = make(map[string]string)
	}
	for _, role := range migrations.LoginRoles() {
		if s.Passwords[role] == "" {
			s.Passwords[role] = rand.Text()
		}
	}
	if s.Demo.Email == "" || s.Demo.Password == "" {
		s.Demo = demo{Email: "demo@example.com", Password: rand.Text()}
	}
	return s, s.write(dir)
}

// write keeps them, if they differ from what is kept.
func (s *secrets) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the secrets: %w", err)
	}
	path := filepath.Join(dir, secretsFile)
	b = append(b, '\n')
	if kept, err := os.ReadFile(path); err == nil && string(kept) == string(b) { //nolint:gosec // below LOCAL_DIR
		return nil
	}
	if err := devstack.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("keep the secrets: %w", err)
	}
	return nil
}
