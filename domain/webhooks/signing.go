package webhooks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
)

// secretPrefix marks a symmetric secret; what follows is base64 of 24 to 64 bytes.
const (
	secretPrefix         = "whsec_"
	minSecret, maxSecret = 24, 64
	madeSecret           = 32
	maxSecretText        = 120
	//nolint:gosec // it describes a secret, and is none
	secretForm                = "must be whsec_ followed by base64 of 24 to 64 random bytes; leave it out to have one made"
	signatureVersion          = "v1,"
	textOfAnyoneWhoPrintsThis = "whsec_(hidden)"
)

// Secret is the key that messages to an endpoint are signed with.
type Secret struct{ key []byte }

// NewSecret makes one of 32 random bytes.
func NewSecret() Secret {
	key := make([]byte, madeSecret)
	_, _ = rand.Read(key) // it never fails: crypto/rand ends the program where there is no chance to be had
	return Secret{key: key}
}

// ParseSecret reads what Reveal wrote, or a secret that a customer brings along.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || len(text) > maxSecretText || strings.ContainsAny(text, "\r\n") { // which the decoder would pass over
		return Secret{}, errSecret()
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) < minSecret || len(key) > maxSecret {
		return Secret{}, errSecret()
	}
	return Secret{key: key}, nil
}

func errSecret() error {
	return fault.Values(fault.Violation{Pointer: "/secret", Code: "secret", Detail: secretForm})
}

// Reveal is the secret as its owner is shown it, once.
func (s Secret) Reveal() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.key) }

// String hides the secret from whoever prints it.
func (s Secret) String() string { return textOfAnyoneWhoPrintsThis }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return textOfAnyoneWhoPrintsThis }

// MarshalJSON refuses: a secret is revealed on purpose or not at all.
func (s Secret) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("webhooks: a secret is not written as JSON")
}

// IsZero says whether there is no secret.
func (s Secret) IsZero() bool { return len(s.key) == 0 }

// Sign is the signature header of a message: one signature for each secret, with spaces between.
func Sign(id string, at time.Time, body []byte, secrets ...Secret) string {
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		mac := hmac.New(sha256.New, s.key)
		_, _ = mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		_, _ = mac.Write(body)
		signatures[i] = signatureVersion + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}
