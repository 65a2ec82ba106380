// Package seal encrypts secrets that are kept in the database: signing keys, webhook secrets, TOTP seeds.
//
// The stores call it where such a column is written and read. A sealed value opens only at the place that it was sealed
// for (tenant, table, column, row), so that a value copied to another row is worth nothing. It uses AES-256-GCM through
// tink, with the keyset that the process is given as MASTER_KEY. It keeps no key anywhere and never logs.
package seal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrOpen is what Open returns for whatever cannot be opened: sealed by a key that the master key does not hold, for
// another place, or altered. Which of these it was cannot be told.
var ErrOpen = errors.New("seal: the value does not open with this master key at this place")

// AAD is the place that a value is sealed for. Moving the value moves nothing but bytes: it must be sealed again.
type AAD struct {
	// Tenant is the id of the tenant; "" for what belongs to none.
	Tenant string
	// Table, Column and Row (the row's id) are required.
	Table, Column, Row string
}

// Sealer seals and opens; it may be used by many goroutines.
type Sealer struct {
	aead    tink.AEAD
	primary [prefixSize]byte
}

// Every sealed value begins with tink's prefix: a version byte and the id of the key.
const (
	prefixSize    = 5
	prefixVersion = 1
)

// New returns a sealer with a master key, as NewMasterKey makes it.
func New(masterKey string) (*Sealer, error) {
	handle, err := parse(masterKey)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("seal: the master key holds keys that are not for AEAD: %w", err)
	}
	s := &Sealer{aead: primitive, primary: [prefixSize]byte{prefixVersion}}
	binary.BigEndian.PutUint32(s.primary[1:], handle.KeysetInfo().GetPrimaryKeyId())
	return s, nil
}

// Seal encrypts plaintext for its place, with the primary key.
func (s *Sealer) Seal(plaintext []byte, place AAD) ([]byte, error) {
	associated, err := place.bytes()
	if err != nil {
		return nil, err
	}
	sealed, err := s.aead.Encrypt(plaintext, associated)
	if err != nil {
		return nil, fmt.Errorf("seal %s.%s: %w", place.Table, place.Column, err)
	}
	return sealed, nil
}

// Open decrypts what was sealed for the same place with any key of the master key; else it returns ErrOpen.
func (s *Sealer) Open(sealed []byte, place AAD) ([]byte, error) {
	associated, err := place.bytes()
	if err != nil {
		return nil, err
	}
	plaintext, err := s.aead.Decrypt(sealed, associated)
	if err != nil {
		return nil, ErrOpen // tink says no more than that either
	}
	return plaintext, nil
}

// NeedsReseal says whether a value was sealed with another key than the primary one. Whoever opens such a value seals
// it again and stores it, so that old keys run out of use.
func (s *Sealer) NeedsReseal(sealed []byte) bool {
	return len(sealed) < prefixSize || [prefixSize]byte(sealed) != s.primary
}

// bytes writes the place so that no two places look alike: each part with its length in front.
func (a AAD) bytes() ([]byte, error) {
	if a.Table == "" || a.Column == "" || a.Row == "" {
		return nil, fmt.Errorf("seal: the place is not complete: table %q, column %q, row %q", a.Table, a.Column, a.Row)
	}
	b := []byte("groundwork/seal/1")
	for _, part := range []string{a.Tenant, a.Table, a.Column, a.Row} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // ids and names are short
		b = append(b, part...)
	}
	return b, nil
}

// parse reads a master key. What it returns never says anything about the key's content.
func parse(masterKey string) (*keyset.Handle, error) {
	handle, err := decode(masterKey)
	if err != nil {
		return nil, err
	}
	info := handle.KeysetInfo()
	for _, key := range info.GetKeyInfo() {
		if key.GetTypeUrl() != aesGCM || key.GetOutputPrefixType() != tinkPrefix {
			return nil, fmt.Errorf("seal: the master key holds a key of another kind (%s, %s); make one with the command masterkey new",
				key.GetTypeUrl(), key.GetOutputPrefixType())
		}
	}
	return handle, nil
}
