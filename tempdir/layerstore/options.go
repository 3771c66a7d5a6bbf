package layerstore

import (
	"io/fs"
	"path/filepath"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// An Option changes what [Open] returns.
type Option func(*options)

type options struct {
	make       fs.FileMode
	driver     Driver
	images     string
	sync       bool
	noRecover  bool
	countsOnly bool
	roots      []tempdir.Option
	limits     Limits
	kernel     kernel.Kernel
	disk       kernel.Disk
}

// Make makes the directory of the store with these permissions if it does not
// exist. 0o700 suits a store that one user owns.
func Make(perm fs.FileMode) Option { return func(o *options) { o.make = perm } }

// WithDriver chooses the layout of new layers: [VFS], which is the default,
// [Overlay] or [Direct]. Layers that exist keep theirs; a store can have several.
func WithDriver(d Driver) Option { return func(o *options) { o.driver = d } }

// ImageStore is a second directory for the layers with [Layer.Image], usually on
// another file system. It has a root of its own. It belongs to one store: another
// one's lock does not protect what is in it.
func ImageStore(path string) Option {
	return func(o *options) { o.images = filepath.Clean(path) }
}

// Sync makes the content of new layers durable before [Store.Create] returns,
// with syncfs before the store lock is taken.
func Sync() Option { return func(o *options) { o.sync = true } }

// WithoutRecovery makes [Open] leave alone what others left: for programs that
// only read.
func WithoutRecovery() Option { return func(o *options) { o.noRecover = true } }

// CountsOnly makes [Store.Delete] rely on the counts of [Store.Mount] alone, and
// not look at what the kernel has mounted: for stores all of whose users count, on
// systems that do not tell, or where a name in the kernel's table that leads
// nowhere would refuse every deletion.
func CountsOnly() Option { return func(o *options) { o.countsOnly = true } }

// ClearFlags clears immutable and append-only flags that keep a layer from being
// removed, and makes read-only subvolumes writable, see [tempdir.ClearFlags]. Without
// it such a layer is left, with [tempdir.ErrImmutable] or [tempdir.ErrReadOnly], and
// the next recovery tries again.
func ClearFlags() Option {
	return func(o *options) { o.roots = append(o.roots, tempdir.ClearFlags()) }
}

// OrphanGrace says how old data without a lock file has to be in the store's roots
// before recovery adopts it, see [tempdir.OrphanGrace]: a day without this option.
// Power loss leaves such data, and no operation of a store does.
func OrphanGrace(d time.Duration) Option {
	return func(o *options) { o.roots = append(o.roots, tempdir.OrphanGrace(d)) }
}

// Limits bound what a new layer may contain.
type Limits struct {
	Bytes   int64 // of all files, as the archive or the directory states them; sparse ones count in full
	Entries int64 // files, directories and everything else
}

// DefaultLimits are those of a store without [WithLimits].
var DefaultLimits = Limits{Bytes: 1 << 40, Entries: 10_000_000}

// WithLimits bounds what new layers may contain.
func WithLimits(l Limits) Option { return func(o *options) { o.limits = l } }

func init() {
	kernel.RegisterOption(func(k kernel.Kernel) Option { return func(o *options) { o.kernel = k } })
	kernel.RegisterDiskOption(func(d kernel.Disk) Option { return func(o *options) { o.disk = d } })
}
