package config

import "time"

// Files is what a process that reads, writes or removes files is told; it embeds it beside Common.
type Files struct {
	// FilesStore says where contents are kept.
	FilesStore string `env:"FILES_STORE" default:"folder" oneof:"folder s3" help:"Where the contents of files are kept: a folder that all processes share, or an S3-compatible store."`
	// FilesDir is the folder; it is made where it is missing.
	FilesDir string `env:"FILES_DIR" default:"/var/lib/groundwork/files" help:"The folder of FILES_STORE=folder; all processes must see the same one."`

	S3Endpoint string `env:"S3_ENDPOINT" default:"https://s3.amazonaws.com" schemes:"http https" help:"Where the S3-compatible store is."`
	S3Bucket   string `env:"S3_BUCKET" help:"The bucket of FILES_STORE=s3; it must be there, private."`
	S3Region   string `env:"S3_REGION" default:"us-east-1" help:"The bucket's region."`
	// S3PathStyle puts the bucket into the path instead of the host's name.
	S3PathStyle       bool   `env:"S3_PATH_STYLE" default:"false" help:"Whether the bucket stands in the path instead of the host's name; most stores but Amazon's want true."`
	S3AccessKeyID     string `env:"S3_ACCESS_KEY_ID" help:"The access key; left out, the machine's own role is used (instance metadata, web identity)."`
	S3SecretAccessKey Secret `env:"S3_SECRET_ACCESS_KEY" help:"The secret of the access key."`

	// FilesQuotaBytes bounds what a tenant keeps, its trash too.
	FilesQuotaBytes Size `env:"FILES_QUOTA_BYTES" default:"0" help:"How much one organization may keep, its trash too; 0 is any amount."`
	// FilesRetainDeleted is how long the trash is kept.
	FilesRetainDeleted time.Duration `env:"FILES_RETAIN_DELETED" default:"720h" min:"0s" help:"How long deleted files can be restored before they are removed for good."`
}
