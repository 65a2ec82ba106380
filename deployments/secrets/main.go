// Command secrets makes the secrets that docker-compose.yml wants, each a file of its own in a folder: `make secrets`.
//
// It makes those that are missing, by chance, and never changes one that is there: a fresh clone needs one call, and an
// upgrade another one. It prints names, never values.
package main

import (
	"crypto/rand"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/groundwork-saas/groundwork/migrations"
	"github.com/groundwork-saas/groundwork/platform/seal"
)

// The modes. Docker shows each file to the containers that are given it, whose users are others than ours: all may read a
// file, and nobody else gets into the folder.
const (
	folderMode = 0o700
	fileMode   = 0o444
)

// alertmanager is a whole configuration that mails to the mailbox of the stack: it is a secret once a mail server is named in it.
//
//go:embed alertmanager.yml
var alertmanager string

func main() {
	dir := flag.String("dir", "secrets", "the folder")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "secrets: makes the secrets of docker-compose.yml that are missing\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	made, err := prepare(*dir)
	for _, name := range made {
		fmt.Println("made", filepath.Join(*dir, name))
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "secrets:", err)
		os.Exit(1)
	case len(made) == 0:
		fmt.Println("all secrets are there, in", *dir)
	default:
		fmt.Println("Keep a copy of " + filepath.Join(*dir, "master_key") + " where the database's backups are not: what it sealed is lost without it.")
	}
}

// prepare makes what is missing in the folder and returns the names of what it made.
func prepare(dir string) (made []string, err error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	if err := os.Chmod(dir, folderMode); err != nil {
		return nil, fmt.Errorf("close the folder: %w", err)
	}
	f := folder{dir: dir}
	f.file("master_key", seal.NewMasterKey)
	f.file("grafana_password", random)
	f.file("postgres_url", databaseURL("postgres", f.file("postgres_password", random)))
	for _, role := range migrations.LoginRoles() {
		name := strings.TrimPrefix(role, "groundwork_")
		f.file(name+"_url", databaseURL(role, f.file(name+"_password", random)))
	}
	f.redis()
	// The mailbox of the stack. A real mail server takes its place.
	f.file("smtp_url", func() (string, error) { return "smtp://mail:1025?starttls=never", nil })
	f.file("alertmanager_config", func() (string, error) { return strings.TrimRight(alertmanager, "\n"), nil })
	return f.made, f.err
}

func random() (string, error) { return rand.Text(), nil }

// databaseURL is the connection to the stack's PostgreSQL as a role.
func databaseURL(role, password string) func() (string, error) {
	return func() (string, error) {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: "postgres:5432", Path: "/groundwork"}
		return u.String(), nil
	}
}

// folder is where they are. After its first error it does nothing more.
type folder struct {
	dir  string
	made []string
	err  error
}

// file returns what the file holds, which is made where it is missing.
func (f *folder) file(name string, content func() (string, error)) string {
	if f.err != nil {
		return ""
	}
	path := filepath.Join(f.dir, name)
	kept, err := os.ReadFile(path) //nolint:gosec // a name of our own, in the folder that was asked for
	text := strings.TrimRight(string(kept), "\r\n")
	switch {
	case err == nil && text == "":
		f.err = fmt.Errorf("%s is empty: write the secret into it, or remove it to have one made", path)
		return ""
	case err == nil:
		return text
	case !errors.Is(err, fs.ErrNotExist):
		f.err = fmt.Errorf("read %s: %w", name, err)
		return ""
	}
	if text, err = content(); err == nil {
		err = write(path, text+"\n")
	}
	if err != nil {
		f.err = fmt.Errorf("make %s: %w", name, err)
		return ""
	}
	f.made = append(f.made, name)
	return text
}

// redis makes Redis's password in the two forms in which it is used.
func (f *folder) redis() {
	const directive = "requirepass "
	password := strings.TrimPrefix(f.file("redis_auth", func() (string, error) { return directive + rand.Text(), nil }), directive)
	f.file("redis_url", func() (string, error) {
		u := url.URL{Scheme: "redis", User: url.UserPassword("", password), Host: "redis:6379", Path: "/0"}
		return u.String(), nil
	})
}

// write writes a file that is not there yet, whole or not at all.
func write(path, text string) error {
	draft := path + ".new"
	if err := os.WriteFile(draft, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(draft, fileMode); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return os.Rename(draft, path)
}
