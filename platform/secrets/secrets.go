// Package secrets makes the random tokens that are handed out: API keys, refresh tokens, intake tokens, invitations.
//
// A token is a prefix that says what it is, a random part and a checksum, as GitHub's are: scanners find leaked ones by
// their shape, and a mistyped one is refused without asking the database. A token is shown once; what is stored is its
// Hash. The random part holds at least 128 bits, so that a fast hash without salt is enough.
package secrets

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

const (
	digits       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	checksumSize = 6  // digits of base 62 that hold 32 bits
	minBytes     = 16 // 128 bits
)

// Token returns a fresh token: the prefix ("gw_live_"), that many random bytes in base 62, and a checksum of 6 digits
// over both. It panics where the random part is under 16 bytes or the prefix is not lower-case words that each end
// with an underscore.
func Token(prefix string, bytes int) string {
	if bytes < minBytes || !isPrefix(prefix) {
		panic(fmt.Sprintf("secrets: a token needs a prefix like gw_live_ and at least %d bytes, not %q and %d", minBytes, prefix, bytes))
	}
	random := make([]byte, bytes)
	_, _ = rand.Read(random) // it never fails: it would end the program
	body := prefix + base62(new(big.Int).SetBytes(random), digitsFor(bytes))
	return body + checksum(body)
}

// Check says whether a token has the form that Token gives and the right checksum: whether it is worth looking up.
func Check(token string) bool {
	cut := strings.LastIndexByte(token, '_') + 1
	random := len(token) - cut - checksumSize
	if !isPrefix(token[:cut]) || random < digitsFor(minBytes) || random > digitsFor(1<<10) {
		return false
	}
	for _, c := range []byte(token[cut:]) {
		if strings.IndexByte(digits, c) < 0 {
			return false
		}
	}
	body := token[:len(token)-checksumSize]
	return checksum(body) == token[len(body):]
}

// Hash returns the SHA-256 of a token, which is what is stored and looked up.
func Hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// isPrefix says whether s is one or more of [a-z0-9]+_.
func isPrefix(s string) bool {
	if s == "" || s[0] == '_' || s[len(s)-1] != '_' || strings.Contains(s, "__") {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) < 0
}

func checksum(body string) string {
	return base62(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(body)))), checksumSize)
}

// digitsFor is how many digits the largest number of so many bytes needs.
func digitsFor(bytes int) int {
	const bitsPerDigit = 5.954196310386875 // log2(62)
	return int(float64(bytes*8)/bitsPerDigit) + 1
}

// base62 writes n with leading zeros, so that all tokens of a kind have one length.
func base62(n *big.Int, width int) string {
	b := make([]byte, width)
	base, digit := big.NewInt(int64(len(digits))), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		b[i] = digits[digit.Int64()]
	}
	return string(b)
}
