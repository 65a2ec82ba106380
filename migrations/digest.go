package migrations

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// Digest names the content of the embedded migrations. Tests keep a migrated database for each.
func Digest() string {
	files, err := list(embedded())
	if err != nil {
		panic(err) // the files were built in; a test reads them
	}
	sum := sha256.New()
	for _, f := range files {
		_, _ = io.WriteString(sum, f.name+"\x00"+f.text+"\x00")
	}
	return hex.EncodeToString(sum.Sum(nil))
}
