package mailsink

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// box keeps the last mails, oldest first, in memory and in a folder if it has one: a file for each.
type box struct {
	dir  string
	keep int
	now  func() time.Time

	mu      sync.Mutex
	mails   []Mail
	last    int
	arrived chan struct{} // closed with the next mail
}

// kept is a mail as its file holds it.
type kept struct {
	ID   int       `json:"id"`
	At   time.Time `json:"at"`
	From string    `json:"from"`
	To   []string  `json:"to"`
	Raw  []byte    `json:"raw"`
}

const suffix = ".json"

func openBox(config Config) (*box, error) {
	b := &box{dir: config.Dir, keep: config.Keep, now: config.Now, arrived: make(chan struct{})}
	if b.dir == "" {
		return b, nil
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of mails: %w", err)
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder of mails: %w", err)
	}
	for _, e := range entries {
		id, err := strconv.Atoi(strings.TrimSuffix(e.Name(), suffix))
		if err != nil || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		b.last = max(b.last, id)
		data, err := os.ReadFile(filepath.Join(b.dir, e.Name()))
		var k kept
		if err != nil || json.Unmarshal(data, &k) != nil || k.ID != id {
			continue // one that was cut off by a crash
		}
		b.mails = append(b.mails, parse(k))
	}
	slices.SortFunc(b.mails, func(a, c Mail) int { return a.ID - c.ID })
	return b, b.trim()
}

// add keeps a mail and tells those who wait.
func (b *box) add(from string, to []string, raw []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := kept{ID: b.last + 1, At: b.now().UTC(), From: from, To: slices.Clone(to), Raw: raw}
	if b.dir != "" {
		data, err := json.Marshal(k)
		if err != nil {
			return fmt.Errorf("write a mail: %w", err)
		}
		draft := b.path(k.ID) + ".draft"
		if err := os.WriteFile(draft, data, 0o600); err != nil {
			return fmt.Errorf("write a mail: %w", err)
		}
		if err := os.Rename(draft, b.path(k.ID)); err != nil {
			return fmt.Errorf("write a mail: %w", err)
		}
	}
	b.last = k.ID
	b.mails = append(b.mails, parse(k))
	close(b.arrived)
	b.arrived = make(chan struct{})
	return b.trim()
}

// trim forgets the oldest mails over the number that is kept.
func (b *box) trim() error {
	var all error
	for len(b.mails) > b.keep {
		all = errors.Join(all, b.remove(b.mails[0].ID))
		b.mails = slices.Delete(b.mails, 0, 1)
	}
	return all
}

func (b *box) remove(id int) error {
	if b.dir == "" {
		return nil
	}
	if err := os.Remove(b.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget a mail: %w", err)
	}
	return nil
}

// clear forgets all mails; numbers go on.
func (b *box) clear() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all error
	for _, m := range b.mails {
		all = errors.Join(all, b.remove(m.ID))
	}
	b.mails = nil
	return all
}

// list is the mails, newest first.
func (b *box) list() []Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := slices.Clone(b.mails)
	slices.Reverse(all)
	return all
}

func (b *box) find(id int) (Mail, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.mails, func(m Mail) bool { return m.ID == id })
	if i < 0 {
		return Mail{}, false
	}
	return b.mails[i], true
}

// next is closed when the next mail is there.
func (b *box) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.arrived
}

func (b *box) path(id int) string { return filepath.Join(b.dir, fmt.Sprintf("%08d", id)+suffix) }
