package files

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// How long a link is good.
const (
	DefaultLinkLife = 15 * time.Minute
	MaxLinkLife     = 7 * 24 * time.Hour
)

// Sealer seals bytes so that they open unchanged and with the same binding only.
type Sealer interface {
	Seal(plaintext, binding []byte) ([]byte, error)
	Open(sealed, binding []byte) ([]byte, error)
}

const (
	linkPrefix  = "gw_file_"
	linkBinding = "file link"
	// linkSize is the tenant, the file and the second in which the link ends.
	linkSize = 16 + 16 + 8
	// maxLink bounds what is looked at, in characters.
	maxLink = 512
)

// Link makes a token that reads a live file without a credential, until it expires. Whoever holds it may, so that it is
// a secret; it is worth nothing once the file is deleted or the tenant suspended. life is from a second to MaxLinkLife;
// 0 is DefaultLinkLife.
func (s *Service) Link(ctx context.Context, scope tenancy.Scope, id tenancy.ID, life time.Duration) (token string, expires time.Time, err error) {
	if life == 0 {
		life = DefaultLinkLife
	}
	if life < time.Second || life > MaxLinkLife {
		return "", time.Time{}, fault.Values(fault.Violation{
			Pointer: "/expires_in", Code: "range", Detail: fmt.Sprintf("must be 1 to %d seconds", int(MaxLinkLife.Seconds())),
		})
	}
	if _, err := s.Find(ctx, scope, id); err != nil {
		return "", time.Time{}, err
	}
	expires = s.needs.Now().UTC().Add(life).Truncate(time.Second)
	plain := make([]byte, 0, linkSize)
	plain = append(plain, scope.Tenant[:]...)
	plain = append(plain, id[:]...)
	plain = binary.BigEndian.AppendUint64(plain, uint64(expires.Unix())) //nolint:gosec // a time after 1970
	sealed, err := s.needs.Sealer.Seal(plain, []byte(linkBinding))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("seal a link: %w", err)
	}
	return linkPrefix + base64.RawURLEncoding.EncodeToString(sealed), expires, nil
}

// Follow finds the file of a link. The tenant that it answers is whose file it is.
func (s *Service) Follow(ctx context.Context, token string) (File, error) {
	invalid := fault.New(fault.Forbidden, "file.link_invalid", "This is no link of ours, or it was changed; ask for another one.")
	encoded, ok := strings.CutPrefix(token, linkPrefix)
	if !ok || len(token) > maxLink {
		return File{}, invalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return File{}, invalid
	}
	plain, err := s.needs.Sealer.Open(sealed, []byte(linkBinding))
	if err != nil || len(plain) != linkSize {
		return File{}, invalid
	}
	tenant, id := tenancy.ID(plain[:16]), tenancy.ID(plain[16:32])
	expires := time.Unix(int64(binary.BigEndian.Uint64(plain[32:])), 0) //nolint:gosec // sealed by Link
	if !s.needs.Now().Before(expires) {
		return File{}, fault.New(fault.Forbidden, "file.link_expired", "This link has expired; ask for another one.")
	}
	return s.needs.Store.FindLinkedFile(ctx, tenant, id)
}
