package tempdir

import (
	"io/fs"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
)

// An Option changes what [Open] returns.
type Option func(*options)

type options struct {
	make         *fs.FileMode // permissions of a root to be made; nil: do not make it
	purpose      string
	mixed        bool
	lockGrace    time.Duration
	orphanGrace  time.Duration
	clearFlags   bool
	detachMounts bool
	allowOthers  bool
	kernel       kernel.Kernel
	now          func() time.Time
	workers      int  // at most, 0: as many as there are cores
	alone        int  // names that one worker removes before there can be more
	eager        bool // as many workers as there can be from the start
}

func newOptions(opts []Option) options {
	o := options{orphanGrace: 24 * time.Hour, now: time.Now, alone: alone}
	for _, option := range opts {
		option(&o)
	}
	if o.kernel == nil {
		o.kernel = kernel.Linux()
	}
	return o
}

// Make makes the root, and its parents, with these permissions if it does not
// exist. 0o700 suits a store that one user owns; 0 is refused by [Open]. Without
// [AllowOthers] or the sticky bit, others cannot write to what is made. A root that
// exists keeps its permissions.
func Make(perm fs.FileMode) Option {
	return func(o *options) { o.make = &perm }
}

// Purpose is one line for people that goes into the owner record of every
// instance, such as "image removal".
func Purpose(text string) Option {
	return func(o *options) { o.purpose = text }
}

// MixedFleet is for a root that is shared with containers/storage as released
// (rule 13). Its decimal ids count as instances instead of foreign names, and
// recovery leaves alone, as [Young], a lock file without data that is younger
// than lockGrace, because upstream's creators publish their lock files
// unlocked. dataGrace is an [OrphanGrace]: an upstream owner may hold a ghost
// lock.
//
// The age is that of the newer of modification and status change; a time in
// the future counts as young. A minute and a day are sensible values. The
// graces are a heuristic: an upstream process that sleeps longer inside its
// window can still lose its data, and upstream recoverers can always harm
// upstream owners.
func MixedFleet(lockGrace, dataGrace time.Duration) Option {
	return func(o *options) { o.mixed, o.lockGrace, o.orphanGrace = true, lockGrace, dataGrace }
}

// OrphanGrace says how old data without a lock file has to be before recovery
// adopts it; what is younger is [Young]. It is a day if this option is not given,
// because a cleaner of temporary files may remove the lock file of a live
// instance; 0 adopts at once. The age is that of the data directory, as in
// [MixedFleet], whose second grace is the same.
func OrphanGrace(d time.Duration) Option {
	return func(o *options) { o.orphanGrace = d }
}

// AllowOthers opens a root that every user may write and that is not sticky,
// which [Open] otherwise refuses with [ErrExposed]: any user can take instances
// away there, or put other things in their place.
func AllowOthers() Option {
	return func(o *options) { o.allowOthers = true }
}

// DetachMounts detaches mounts that are found inside an instance whose lock is
// held and verified, instead of reporting them, and then goes on. A mount is
// never entered: it is detached lazily (MNT_DETACH), and processes that have
// files of it open keep them. It needs CAP_SYS_ADMIN in the mount namespace.
//
// It finds what is mounted below the mount by which the root was opened. If another
// one leads to the root by now (see [Open]), what is mounted below that is reported,
// and detached by who opens the root anew.
func DetachMounts() Option {
	return func(o *options) { o.detachMounts = true }
}

// ClearFlags clears immutable and append-only flags that keep data from being
// removed, instead of reporting them. It needs CAP_LINUX_IMMUTABLE. A flag
// belongs to the inode: if the file has another name outside, that is affected.
func ClearFlags() Option {
	return func(o *options) { o.clearFlags = true }
}

// Workers bounds how many goroutines remove one tree at the same time; 1 is the
// caller's alone. Without it, or with less than 1, there are at most as many as GOMAXPROCS, and 16. How many
// there are, up to that, is found out while they work: one more stays only where it
// makes the removal faster, and trees of less than 2000 entries and single
// directories are one goroutine's. A worker takes up to 33 descriptors. None is left
// when the call returns.
func Workers(n int) Option {
	return func(o *options) { o.workers = n }
}

func init() {
	kernel.RegisterOption(func(k kernel.Kernel) Option { return func(o *options) { o.kernel = k } })
	kernel.RegisterClockOption(func(now func() time.Time) Option { return func(o *options) { o.now = now } })
}
