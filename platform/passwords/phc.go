package passwords

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// errHash is a hash that cannot be read; it does not say what was found.
var errHash = errors.New("passwords: the stored hash is no argon2id PHC string, or asks for unreasonable work")

// params is the work that a hash takes.
type params struct {
	time, memory uint32 // passes, KiB
	threads      uint8
}

// The most work that a stored hash may ask for: whoever can write a hash should not be able to stop the process.
const (
	maxTime    = 64
	maxMemory  = 1 << 20 // KiB: 1 GiB
	maxThreads = 64
	maxField   = 128 // bytes of salt and of hash
	minSalt    = 8
	minHash    = 16
)

// phc is a hash in the form that argon2's own tool writes, the Password Hashing Competition's string format.
type phc struct {
	params

	salt, hash []byte
}

// String writes the hash.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.hash))
}

func parse(stored string) (phc, error) {
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errHash
	}
	var p phc
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return phc{}, errHash
	}
	encoding := base64.RawStdEncoding.Strict()
	var saltErr, hashErr error
	p.salt, saltErr = encoding.DecodeString(parts[4])
	p.hash, hashErr = encoding.DecodeString(parts[5])
	switch {
	case saltErr != nil, hashErr != nil,
		p.time < 1, p.time > maxTime, p.threads < 1, p.threads > maxThreads, p.memory < 8*uint32(p.threads), p.memory > maxMemory,
		len(p.salt) < minSalt, len(p.salt) > maxField, len(p.hash) < minHash, len(p.hash) > maxField,
		p.String() != stored: // one hash, one form
		return phc{}, errHash
	}
	return p, nil
}
