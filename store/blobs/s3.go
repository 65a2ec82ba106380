package blobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/groundwork-saas/groundwork/domain/files"
)

// S3Config says where the bucket is.
type S3Config struct {
	// Endpoint is the store's origin: "https://s3.eu-central-1.amazonaws.com", "http://minio:9000".
	Endpoint string
	// Bucket must be there. Nobody but us should have access to it.
	Bucket string
	// Region is the bucket's; "" is us-east-1.
	Region string
	// PathStyle puts the bucket into the path instead of the host's name.
	PathStyle bool
	// AccessKeyID and SecretAccessKey are the credentials; without them the machine's role is used.
	AccessKeyID, SecretAccessKey string
}

// S3 keeps contents in a bucket.
type S3 struct {
	client *minio.Client
	bucket string
}

var _ files.Contents = (*S3)(nil)

const (
	// smallContent is up to which size a content is sent in one request; larger ones go in parts of partSize, of which
	// one is held in memory. S3 takes 10,000 parts: 78 GiB.
	smallContent = 1 << 20
	partSize     = 8 << 20
	// s3Patience bounds the wait for an answer's headers, cleanUpPatience what is tidied up after the caller has gone.
	s3Patience, cleanUpPatience = 60 * time.Second, 30 * time.Second
)

// NewS3 returns the contents in a bucket. It connects to nothing.
func NewS3(config S3Config) (*S3, error) {
	at, err := url.Parse(config.Endpoint)
	switch {
	case err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || strings.Trim(at.Path, "/") != "":
		return nil, errors.New("S3_ENDPOINT must be an origin, such as https://s3.amazonaws.com")
	case config.Bucket == "":
		return nil, errors.New("S3_BUCKET is required; name the bucket")
	case (config.AccessKeyID == "") != (config.SecretAccessKey == ""):
		return nil, errors.New("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY go together; set both, or neither for the machine's role")
	}
	if config.Region == "" {
		config.Region = "us-east-1"
	}
	lookup := minio.BucketLookupDNS
	if config.PathStyle {
		lookup = minio.BucketLookupPath
	}
	creds := credentials.NewStaticV4(config.AccessKeyID, config.SecretAccessKey, "")
	if config.AccessKeyID == "" {
		creds = credentials.NewIAM("")
	}
	client, err := minio.New(at.Host, &minio.Options{
		Creds: creds, Secure: at.Scheme == "https", Region: config.Region, BucketLookup: lookup, MaxRetries: 3,
		Transport: &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			// A content is sent as it is: a proxy's or our own compression would change its length.
			DisableCompression: true, MaxIdleConns: 256, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: s3Patience, ExpectContinueTimeout: time.Second,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("S3_ENDPOINT: %w", err)
	}
	return &S3{client: client, bucket: config.Bucket}, nil
}

// Put sends a content; in parts, which become one when the last has arrived, where it is large.
func (s *S3) Put(ctx context.Context, key string, r io.Reader) error {
	if err := checkKey(key); err != nil {
		return err
	}
	source := &strict{r: r}
	head, err := io.ReadAll(io.LimitReader(source, smallContent))
	if err != nil {
		return fmt.Errorf("read the contents: %w", err)
	}
	// Each request's digest goes in a header, which is signed. The other way, signatures within the body, is used without
	// TLS only, not understood by every store, and sends an empty content without its length.
	options := minio.PutObjectOptions{
		ContentType: "application/octet-stream", PartSize: partSize, SendContentMd5: true, DisableContentSha256: true,
	}
	if len(head) < smallContent {
		_, err = s.client.PutObject(ctx, s.bucket, key, bytes.NewReader(head), int64(len(head)), options)
	} else {
		_, err = s.client.PutObject(ctx, s.bucket, key, io.MultiReader(bytes.NewReader(head), source), -1, options)
	}
	if err == nil && source.err != nil { // whatever the client made of it, this was no end
		err = source.err
	}
	if err == nil {
		return nil
	}
	// It may have arrived all the same, or in part.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpPatience)
	defer cancel()
	return fmt.Errorf("put the contents: %w", errors.Join(err, s.Delete(ctx, key), s.abort(ctx, key)))
}

// abort takes back the parts of a content that was not completed.
func (s *S3) abort(ctx context.Context, key string) error {
	if err := s.client.RemoveIncompleteUpload(ctx, s.bucket, key); err != nil && !isMissing(err) {
		return fmt.Errorf("remove the parts: %w", err)
	}
	return nil
}

// strict is a reader whose errors nobody takes for an end: the client does so with io.ErrUnexpectedEOF, and would keep
// what was read until then as the whole.
type strict struct {
	r   io.Reader
	err error
}

// Read reads, and remembers an error that is no end.
func (s *strict) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // the very value is the end
		s.err = fmt.Errorf("read the contents: %w", err)
		return n, s.err
	}
	return n, err //nolint:wrapcheck // nil or the end
}

// Open asks for a part of a content; that it is there is known before Open returns.
func (s *S3) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if length == 0 {
		return s.openNothing(ctx, key)
	}
	var options minio.GetObjectOptions
	switch {
	case length > 0:
		if err := options.SetRange(offset, offset+length-1); err != nil {
			return nil, fmt.Errorf("ask for a part: %w", err)
		}
	case offset > 0:
		if err := options.SetRange(offset, 0); err != nil {
			return nil, fmt.Errorf("ask for a part: %w", err)
		}
	}
	body, _, _, err := (&minio.Core{Client: s.client}).GetObject(ctx, s.bucket, key, options)
	switch {
	case err == nil:
		return body, nil
	case isMissing(err):
		return nil, files.ErrNoContents
	case minio.ToErrorResponse(err).Code == minio.InvalidRange: // from the end on there is nothing
		return s.openNothing(ctx, key)
	default:
		return nil, fmt.Errorf("open the contents: %w", err)
	}
}

// openNothing is an empty part of a content that is there.
func (s *S3) openNothing(ctx context.Context, key string) (io.ReadCloser, error) {
	if _, err := s.client.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{}); isMissing(err) {
		return nil, files.ErrNoContents
	} else if err != nil {
		return nil, fmt.Errorf("look for the contents: %w", err)
	}
	return io.NopCloser(bytes.NewReader(nil)), nil
}

// Delete removes a content.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := s.client.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}); err != nil && !isMissing(err) {
		return fmt.Errorf("remove contents: %w", err)
	}
	return nil
}

func isMissing(err error) bool {
	code := minio.ToErrorResponse(err).Code
	return code == minio.NoSuchKey || code == minio.NoSuchUpload
}

// List lists the bucket, and the uploads that were not completed.
func (s *S3) List(ctx context.Context, visit func(files.Content) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the listing where visit does
	defer cancel()
	for object := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Recursive: true}) {
		if object.Err != nil {
			return fmt.Errorf("list the contents: %w", object.Err)
		}
		if checkKey(object.Key) != nil {
			continue // not ours
		}
		err := visit(files.Content{
			Key: object.Key, Size: object.Size, ModifiedAt: object.LastModified,
			Remove: func(ctx context.Context) error { return s.Delete(ctx, object.Key) },
		})
		if err != nil {
			return err
		}
	}
	for upload := range s.client.ListIncompleteUploads(ctx, s.bucket, "", true) {
		if upload.Err != nil {
			return fmt.Errorf("list unfinished uploads: %w", upload.Err)
		}
		if checkKey(upload.Key) != nil {
			continue
		}
		err := visit(files.Content{
			Size: upload.Size, ModifiedAt: upload.Initiated,
			Remove: func(ctx context.Context) error { return s.abort(ctx, upload.Key) },
		})
		if err != nil {
			return err
		}
	}
	return nil
}
