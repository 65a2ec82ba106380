package files

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/members"
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
	// linkSize is the tenant, the file, the second in which the link ends, and who made it: a letter and an id.
	linkSize = 16 + 16 + 8 + 1 + 16
	// maxLink bounds what is looked at, in characters.
	maxLink = 512
)

// Link makes a token that reads a live file without a credential, until it expires. Whoever holds it may, so that it is
// a secret; it is worth nothing once the file is deleted, the tenant suspended, or the access gone of who made it. life is from
// a second to MaxLinkLife; 0 is DefaultLinkLife.
func (s *Service) Link(ctx context.Context, scope tenancy.Scope, id tenancy.ID, life time.Duration) (token string, expires time.Time, err error) {
	if life == 0 {
		life = DefaultLinkLife
	}
	if life < time.Second || life > MaxLinkLife {
		return "", time.Time{}, fault.Values(fault.Violation{
			Pointer: "/expires_in", Code: "range", Detail: fmt.Sprintf("must be 1 to %d seconds", int(MaxLinkLife.Seconds())),
		})
	}
	if _, err := s.FindToRead(ctx, scope, id); err != nil {
		return "", time.Time{}, err
	}
	expires = s.needs.Now().UTC().Add(life).Truncate(time.Second)
	plain := make([]byte, 0, linkSize)
	plain = append(plain, scope.Tenant[:]...)
	plain = append(plain, id[:]...)
	plain = binary.BigEndian.AppendUint64(plain, uint64(expires.Unix())) //nolint:gosec // a time after 1970
	plain = append(plain, makerLetter(scope.Actor.Kind))
	plain = append(plain, scope.Actor.ID[:]...)
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
	expires := time.Unix(int64(binary.BigEndian.Uint64(plain[32:40])), 0) //nolint:gosec // sealed by Link
	if !s.needs.Now().Before(expires) {
		return File{}, fault.New(fault.Forbidden, "file.link_expired", "This link has expired; ask for another one.")
	}
	file, err := s.needs.Store.FindLinkedFile(ctx, tenant, id)
	if err != nil {
		return File{}, err
	}
	maker := access.Asker{Kind: makerKind(plain[40]), ID: tenancy.ID(plain[41:])}
	needed := []string{members.FilesRead}
	if file.Permission != "" {
		needed = append(needed, file.Permission)
	}
	err = s.needs.Rights.Check(ctx, tenancy.AsSystem(tenant, ""), maker, needed...)
	if access.IsLost(err) { // why is nothing to whoever holds it
		return File{}, fault.New(fault.Forbidden, "file.link_revoked", "Who made this link may not read the file any more; ask somebody who may for another one.").Because(err)
	}
	return file, err
}

// makerLetter and makerKind are how a link says what sort of actor made it.
func makerLetter(kind tenancy.ActorKind) byte {
	switch kind {
	case tenancy.User:
		return 'u'
	case tenancy.APIKey:
		return 'k'
	case tenancy.System:
	}
	return 's'
}

func makerKind(letter byte) tenancy.ActorKind {
	switch letter {
	case 'u':
		return tenancy.User
	case 'k':
		return tenancy.APIKey
	default:
		return tenancy.System
	}
}
