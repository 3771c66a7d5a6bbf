package layerstore

import (
	"io"
	"time"
)

// Content is what a new layer contains: [Tar], [Directory] or [Empty].
type Content struct {
	stream    io.Reader
	directory string
}

// Tar is an archive, plain, as archive/tar reads it: of an OCI layer, with its
// whiteouts.
//
// Names are below the layer's directory, whatever they begin with; ".." is
// refused, and so are entries whose parent is a symbolic link that leads out.
// Links themselves may point anywhere. A later entry replaces an earlier one.
// Devices are refused. Modes and times are kept, owners if the caller is root;
// extended attributes are not.
//
// A whiteout removes what the parent has in a layout that copies the parent. In
// the layout overlay it becomes what the kernel's overlays want, a character device
// 0/0 or an attribute of the directory, or, where the caller may not make that,
// stays as the archive names it, which overlays in user space read.
func Tar(r io.Reader) Content { return Content{stream: r} }

// Directory is a copy of the directory path, without following symbolic links
// below it. Regular files, directories, links and FIFOs are copied; anything else
// is refused. Names that are links to one file become files of their own.
func Directory(path string) Content { return Content{directory: path} }

// Empty is no content.
func Empty() Content { return Content{} }

// Maintenance says how [Store.Maintain] works. The zero value has the defaults.
type Maintenance struct {
	Every time.Duration // between looks, jittered by a quarter; 0: 10 s
	Slice time.Duration // bounds the work of one look; 0: 1 s
	// Report is called after every look that found something to do, with what
	// Recover returned. It may be nil.
	Report func(Report, error)
}
