// Package build says which build of the product this is.
//
// It knows what the linker was told, and else what Go has noted in the program. It decides nothing.
package build

import (
	"cmp"
	"runtime"
	"runtime/debug"
)

// What images are stamped with: -ldflags "-X …/platform/build.version=v1.2.3 -X …/platform/build.revision=4f2a…".
//
//nolint:gochecknoglobals // the linker sets nothing else
var version, revision string

// unknown stands for what nobody noted.
const unknown = "unknown"

// Info is which build this is; what is not known is "unknown".
type Info struct {
	// Version is the release, such as v1.2.3.
	Version string
	// Revision is the commit.
	Revision string
	// Go is the version of the compiler, such as go1.26.1.
	Go string
}

// Read returns what is known of this program.
func Read() Info {
	noted := Info{Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		noted.Version = info.Main.Version
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				noted.Revision = setting.Value
			}
		}
	}
	return Info{
		Version: cmp.Or(version, noted.Version, unknown), Revision: cmp.Or(revision, noted.Revision, unknown), Go: noted.Go,
	}
}

// String is all of it in one line.
func (i Info) String() string { return i.Version + ", commit " + i.Revision + ", " + i.Go }
