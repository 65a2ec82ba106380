package backend

import (
	"github.com/groundwork-saas/groundwork/platform/seal"
)

// Sealer seals what the domain binds in words of its own, such as a cursor to its list or a key to its row.
type Sealer struct{ master *seal.Sealer }

// place is where the binding stands among those of sealed columns, so that neither opens the other.
func place(binding []byte) seal.AAD {
	return seal.AAD{Table: "-", Column: "-", Row: string(binding)}
}

// Seal encrypts plaintext for its binding.
func (s Sealer) Seal(plaintext, binding []byte) ([]byte, error) {
	return s.master.Seal(plaintext, place(binding))
}

// Open decrypts what was sealed with the same binding.
func (s Sealer) Open(sealed, binding []byte) ([]byte, error) {
	return s.master.Open(sealed, place(binding))
}

// NeedsReseal says whether a value was sealed with another key than the primary one.
func (s Sealer) NeedsReseal(sealed []byte) bool { return s.master.NeedsReseal(sealed) }
