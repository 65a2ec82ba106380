package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// stack is where a running product is, as `make run` writes it to stack.json.
type stack struct {
	API string `json:"api"`
	// Mail is the page of the mails that are caught; "" where they are sent.
	Mail string `json:"mail"`
	Demo struct {
		Email    string `json:"email"`
		TenantID string `json:"tenant_id"`
		APIKey   string `json:"api_key"`
	} `json:"demo"`
}

// findStack reads stack.json in dir. An address given by hand (API_URL) wins, and has no demo tenant.
func findStack(dir, address string) (stack, error) {
	if address != "" {
		return stack{API: strings.TrimRight(address, "/")}, nil
	}
	path := filepath.Join(dir, "stack.json")
	data, err := os.ReadFile(path) //nolint:gosec // LOCAL_DIR is whoever runs this program's
	if errors.Is(err, fs.ErrNotExist) {
		return stack{}, fmt.Errorf("there is no %s, so no stack is running here\n"+
			"  start one with: make run   (and leave it running)\n"+
			"  or name one:    API_URL=http://127.0.0.1:8080 make demo", path)
	}
	if err != nil {
		return stack{}, fmt.Errorf("find the running stack: %w", err)
	}
	var s stack
	if err := json.Unmarshal(data, &s); err != nil {
		return stack{}, fmt.Errorf("%s is not what make run writes: %w", path, err)
	}
	if s.API == "" {
		return stack{}, fmt.Errorf("%s names no api", path)
	}
	return s, nil
}

// tourPassword returns the password of the tour's accounts: made by chance the first time and kept in dir, for its
// owner's eyes only, so that the next tour can sign in.
func tourPassword(dir string) (string, error) {
	path := filepath.Join(dir, "tour-password")
	data, err := os.ReadFile(path) //nolint:gosec // LOCAL_DIR is whoever runs this program's
	if err == nil && len(data) > 0 {
		return strings.TrimSpace(string(data)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the tour's password: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keep the tour's password: %w", err)
	}
	password := rand.Text()
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the tour's password: %w", err)
	}
	return password, nil
}
