package files

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/groundwork-saas/groundwork/domain/access"
	"github.com/groundwork-saas/groundwork/domain/fault"
	"github.com/groundwork-saas/groundwork/domain/page"
	"github.com/groundwork-saas/groundwork/domain/tenancy"
)

// Config is what the service is told.
type Config struct {
	// MaxBytes is how large a received file may be; 0 is any size. What the product makes itself is not bounded by it.
	MaxBytes int64
	// QuotaBytes is how much a tenant may keep; 0 is any amount.
	QuotaBytes int64
	// Types are the content types that are received: "text/csv", "image/*"; none means all.
	Types []string
}

// Needs are what the service stands on.
type Needs struct {
	Store    Store
	Contents Contents
	// Sniff tells the content type by the first bytes, SniffBytes of them where there are as many.
	Sniff func(head []byte) string
	// Sealer seals links, and Rights says whether who made one may still read its file. Who makes and follows none leaves
	// them out.
	Sealer Sealer
	Rights *access.Rights
	Now    func() time.Time
}

// SniffBytes is how many bytes the content type is told from.
const SniffBytes = 3072

// Service receives, makes, shows and removes files.
type Service struct {
	needs  Needs
	config Config
}

// NewService returns the service over a store and contents.
func NewService(needs Needs, config Config) *Service { return &Service{needs: needs, config: config} }

// Input is what is said of a file that comes in.
type Input struct {
	// Name is cleaned by CleanName.
	Name string
	// Purpose is ForUpload where it is "".
	Purpose string
}

// Received is a file whose contents are kept and which does not exist yet: it does once it went through Keep.
type Received struct{ file File }

// File is what it will be.
func (r Received) File() File { return r.file }

// Receive keeps the contents that r has. Before it reads it proves the actor's access and that there is room, so that
// nobody sends a gigabyte in vain. It refuses an empty file, one that is too large and a type that is not received;
// of a refused file nothing is kept. The caller goes on with Keep or Discard.
func (s *Service) Receive(ctx context.Context, scope tenancy.Scope, r io.Reader, in Input) (Received, error) {
	name, err := CleanName(in.Name)
	if err != nil {
		return Received{}, err
	}
	if in.Purpose == "" {
		in.Purpose = ForUpload
	}
	if err := s.checkRoom(ctx, scope); err != nil {
		return Received{}, err
	}
	file := s.newFile(scope, name, in.Purpose)
	source := newIntake(r, s.config.MaxBytes)
	head, err := source.peek(SniffBytes)
	switch {
	case err != nil:
		return Received{}, err
	case len(head) == 0:
		return Received{}, fault.Values(fault.Violation{Pointer: "/file", Code: "empty", Detail: "is empty; send a file with contents"})
	}
	file.ContentType = s.needs.Sniff(head)
	if !s.takes(file.ContentType) {
		return Received{}, errType(file.ContentType, s.config.Types)
	}
	if err := s.put(ctx, &file, source); err != nil {
		return Received{}, err
	}
	return Received{file: file}, nil
}

// Keep makes a file of what was received. In a transaction of the caller's, the file exists once that is committed.
func (s *Service) Keep(ctx context.Context, scope tenancy.Scope, received Received) (File, error) {
	return received.file, s.needs.Store.CreateFile(ctx, scope, received.file, s.config.QuotaBytes)
}

// Discard removes the contents of what was received and did not become a file, because of cause, or for none. Where it may have
// become one all the same, as the answer to a commit that was lost on the way leaves open, they stay for the sweep.
func (s *Service) Discard(ctx context.Context, received Received, cause error) {
	kind := fault.KindOf(cause)
	if cause != nil && (kind == fault.Internal || kind == fault.Unavailable) {
		return
	}
	s.remove(ctx, received.file)
}

// Upload is Receive and Keep.
func (s *Service) Upload(ctx context.Context, scope tenancy.Scope, r io.Reader, in Input) (File, error) {
	received, err := s.Receive(ctx, scope, r, in)
	if err != nil {
		return File{}, err
	}
	file, err := s.Keep(ctx, scope, received)
	if err != nil {
		s.Discard(ctx, received, err)
		return File{}, err
	}
	return file, nil
}

// Meta is what the product says of a file that it makes itself.
type Meta struct {
	Name        string
	Purpose     string // ForExport, ForErrors, a word of the program's own
	ContentType string // believed; "" is told from the first bytes
	// Permission is what one needs beside files:read to read it: "orders:read" for orders.
	Permission string
}

// Create makes a file of what write writes. It exists once write has returned nil and everything is kept; where write
// fails or panics, or the process ends, there is no file. It may be empty and may be larger than a received one.
func (s *Service) Create(ctx context.Context, scope tenancy.Scope, meta Meta, write func(w io.Writer) error) (File, error) {
	received, err := s.Produce(ctx, scope, meta, write)
	if err != nil {
		return File{}, err
	}
	file, err := s.Keep(ctx, scope, received)
	if err != nil {
		s.Discard(ctx, received, err)
		return File{}, err
	}
	return file, nil
}

// Produce is Create without its end: the contents are kept, and become a file when they go through Keep, in a transaction
// of the caller's for one. The caller goes on with Keep or Discard.
func (s *Service) Produce(ctx context.Context, scope tenancy.Scope, meta Meta, write func(w io.Writer) error) (Received, error) {
	name, err := CleanName(meta.Name)
	if err != nil {
		return Received{}, err
	}
	if err := s.checkRoom(ctx, scope); err != nil {
		return Received{}, err
	}
	file := s.newFile(scope, name, meta.Purpose)
	file.ContentType, file.Permission = meta.ContentType, meta.Permission
	if err := s.produce(ctx, &file, write); err != nil {
		return Received{}, err
	}
	return Received{file: file}, nil
}

// produce runs write here, so that its panics are the caller's, and beside it the storage that takes what it writes.
func (s *Service) produce(ctx context.Context, file *File, write func(w io.Writer) error) error {
	reader, writer := io.Pipe()
	kept := make(chan error, 1)
	go func() {
		source := newIntake(reader, 0)
		head, err := source.peek(SniffBytes)
		if err == nil {
			if file.ContentType == "" {
				file.ContentType = s.needs.Sniff(head)
			}
			err = s.put(ctx, file, source)
		}
		_ = reader.CloseWithError(errStopped) // a writer that goes on is told
		kept <- err
	}()
	returned := false
	defer func() {
		if !returned {
			_ = writer.CloseWithError(errAbandoned)
			<-kept
		}
	}()
	wrote := write(writer)
	returned = true
	_ = writer.CloseWithError(wrote)
	err := <-kept
	if wrote != nil && !errors.Is(wrote, errStopped) {
		return wrote // the writer's own, without what the storage made of it
	}
	return err
}

var (
	// errStopped is what a writer gets whose file could not be kept.
	errStopped = errors.New("files: the storage takes no more")
	// errAbandoned ends the contents of a writer that did not return.
	errAbandoned = errors.New("files: the writer did not return")
)

// put streams the contents into the storage and notes their size and digest.
func (s *Service) put(ctx context.Context, file *File, source *intake) error {
	err := s.needs.Contents.Put(ctx, file.Key(), source)
	switch {
	case source.err != nil: // what the sender or the limits did, whatever the storage makes of it
		if err == nil {
			s.remove(ctx, *file)
		}
		return source.err
	case err != nil:
		return errStorage(err)
	}
	file.Size, file.SHA256 = source.size, source.sum()
	return nil
}

// cleanUp bounds what is done after the caller has gone.
const cleanUp = 30 * time.Second

// remove deletes contents that no file has. Where that fails the sweep finds them.
func (s *Service) remove(ctx context.Context, file File) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	_ = s.needs.Contents.Delete(ctx, file.Key())
}

func (s *Service) checkRoom(ctx context.Context, scope tenancy.Scope) error {
	usage, err := s.Usage(ctx, scope)
	if err == nil && s.config.QuotaBytes > 0 && usage.Bytes >= s.config.QuotaBytes {
		err = ErrQuota(s.config.QuotaBytes)
	}
	return err
}

func (s *Service) newFile(scope tenancy.Scope, name, purpose string) File {
	now := s.moment()
	file := File{
		TenantID: scope.Tenant, ID: tenancy.NewID(), Name: name, Purpose: purpose,
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if !scope.Actor.ID.IsZero() {
		file.CreatedBy = &scope.Actor.ID
	}
	return file
}

// Usage is how much the tenant keeps.
func (s *Service) Usage(ctx context.Context, scope tenancy.Scope) (Usage, error) {
	return s.needs.Store.FindUsage(ctx, scope)
}

// Quota is how many bytes a tenant may keep; 0 is any number.
func (s *Service) Quota() int64 { return s.config.QuotaBytes }

// MaxBytes is how large a received file may be; 0 is any size.
func (s *Service) MaxBytes() int64 { return s.config.MaxBytes }

// List returns a page of files, newest first.
func (s *Service) List(ctx context.Context, scope tenancy.Scope, query Query) (page.Page[File], error) {
	query.Request = query.Normalized()
	rows, err := s.needs.Store.ListFiles(ctx, scope, query)
	if err != nil {
		return page.Page[File]{}, err
	}
	return page.Of(rows, query.Request, func(f File) page.Position { return page.Position{f.ID.String()} }), nil
}

// Find returns a live file.
func (s *Service) Find(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (File, error) {
	return s.needs.Store.FindFile(ctx, scope, id)
}

// FindToRead returns a live file whose contents the scope's actor may read. What was made of records takes the permission
// to read them now, whoever had it when it was made.
func (s *Service) FindToRead(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (File, error) {
	file, err := s.Find(ctx, scope, id)
	if err == nil && file.Permission != "" && !scope.Actor.May(file.Permission) {
		err = fault.New(fault.Forbidden, "permission_denied",
			"This file holds records that take the permission "+file.Permission+", which you do not have here; ask an administrator of the organization.")
	}
	return file, err
}

// Open reads a file's contents from offset on: length bytes, or to the end where length is negative. The caller has
// found the file by FindToRead or Follow, which is the proof that it may, and closes what it is given.
func (s *Service) Open(ctx context.Context, file File, offset, length int64) (io.ReadCloser, error) {
	contents, err := s.needs.Contents.Open(ctx, file.Key(), offset, length)
	if err != nil {
		return nil, errStorage(err)
	}
	return contents, nil
}

// Delete puts a file into the trash. Its links are worth nothing from then on.
func (s *Service) Delete(ctx context.Context, scope tenancy.Scope, id tenancy.ID) error {
	_, err := s.needs.Store.ChangeFile(ctx, scope, id, "deleted", func(f *File) error { return f.Delete(s.moment()) })
	return err
}

// Restore takes a file out of the trash.
func (s *Service) Restore(ctx context.Context, scope tenancy.Scope, id tenancy.ID) (File, error) {
	return s.needs.Store.ChangeFile(ctx, scope, id, "restored", func(f *File) error { return f.Restore(s.moment()) })
}

// moment is now as the database keeps it: in UTC, to the microsecond.
func (s *Service) moment() time.Time { return s.needs.Now().UTC().Truncate(time.Microsecond) }
