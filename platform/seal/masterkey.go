package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// The one kind of key that a master key holds.
const (
	aesGCM     = "type.googleapis.com/google.crypto.tink.AesGcmKey"
	tinkPrefix = tinkpb.OutputPrefixType_TINK
)

// errMasterKey says the way out as well; it does not say what was found, which may be nearly a key.
var errMasterKey = errors.New("seal: this is no master key (a base64 keyset); make one with the command masterkey new")

// NewMasterKey makes a master key with one key. It is secret; losing it loses everything that was sealed with it.
func NewMasterKey() (string, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return encode(handle)
}

// Rotate returns the master key with a fresh key as its primary; the old ones still open what they sealed. A process
// that has not been given the new master key cannot open what is sealed with it: where several run at a time use Stage,
// give the result to all, and then Promote.
func Rotate(masterKey string) (string, error) {
	staged, err := Stage(masterKey)
	if err != nil {
		return "", err
	}
	return Promote(staged)
}

// Stage returns the master key with a fresh key that opens but does not seal yet.
func Stage(masterKey string) (string, error) {
	return change(masterKey, func(manager *keyset.Manager, _ uint32) error {
		_, err := manager.Add(aead.AES256GCMKeyTemplate())
		return err
	})
}

// Promote returns the master key with its newest key as its primary.
func Promote(masterKey string) (string, error) {
	return change(masterKey, func(manager *keyset.Manager, newest uint32) error {
		return manager.SetPrimary(newest)
	})
}

func change(masterKey string, act func(manager *keyset.Manager, newest uint32) error) (string, error) {
	handle, err := parse(masterKey)
	if err != nil {
		return "", err
	}
	keys := handle.KeysetInfo().GetKeyInfo()
	manager := keyset.NewManagerFromHandle(handle)
	if err = act(manager, keys[len(keys)-1].GetKeyId()); err != nil {
		return "", fmt.Errorf("change the master key: %w", err)
	}
	if handle, err = manager.Handle(); err != nil {
		return "", fmt.Errorf("change the master key: %w", err)
	}
	return encode(handle)
}

func encode(handle *keyset.Handle) (string, error) {
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&b)); err != nil {
		return "", fmt.Errorf("write the master key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

func decode(masterKey string) (*keyset.Handle, error) {
	binary, err := base64.StdEncoding.DecodeString(strings.TrimSpace(masterKey))
	if err != nil {
		return nil, errMasterKey
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(binary)))
	if err != nil {
		return nil, errMasterKey
	}
	return handle, nil
}
