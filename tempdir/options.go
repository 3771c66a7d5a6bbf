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
	parallel     int  // instances recovered at the same time
	sliceNames   int64
	sliceBytes   int64
	sliceTime    time.Duration
	progress     func(Progress)
	countBytes   bool
	rate         *rate // of removals; nil: as fast as can be
	idle         bool  // the priority of their input and output
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
// removed, instead of reporting them. It needs CAP_LINUX_IMMUTABLE. A flag belongs to
// the inode: if the file has another name outside, that is affected. Read-only subvolumes
// of btrfs inside, or a victim that is one, become writable, too, which their owner may
// do; one that a victim lies in stays as it is.
func ClearFlags() Option {
	return func(o *options) { o.clearFlags = true }
}

// Workers bounds how many goroutines remove one tree at the same time; 1 is the
// caller's alone. Without it, or with less than 1, there are at most as many as GOMAXPROCS, and 16. How many
// there are, up to that, is found out while they work: one more stays only where it
// makes the removal faster, and trees of less than 500 entries and single
// directories are one goroutine's. A worker takes up to 33 descriptors. None is left
// when the call returns.
func Workers(n int) Option {
	return func(o *options) { o.workers = n }
}

// Slice bounds one call of [Root.Recover]: it stops when it has removed so many names or
// worked so long, whichever is first; 0 is no bound. What is left keeps its names on disk,
// and [Report.More] says so, without an error: the next call goes on, a call of the same
// Root with the instance after those that were begun, so that no instance keeps the
// others waiting. The bound of names is passed by less than there are workers; a time
// may be too short to remove anything. Of one that is cut off the outcome is [Unfinished], and [Failed] if some names could
// not be removed; the error matches [context.Canceled] as well then.
func Slice(names int64, d time.Duration) Option {
	return func(o *options) { o.sliceNames, o.sliceTime = names, d }
}

// SliceBytes is [Slice] by allocated bytes: the call stops after the name with which it
// has removed so many; 0 is no bound. Nothing but a look at each name tells them, so it
// counts them, see [CountBytes], and what that costs is the price. A large file is
// removed at once.
func SliceBytes(n int64) Option {
	return func(o *options) { o.sliceBytes, o.countBytes = n, o.countBytes || n > 0 }
}

// Parallel lets [Root.Recover] work on up to n instances at the same time, which share
// the [Workers] and take their descriptors; fewer than two are one after the other. To
// other processes each looks like a recovery of its own. A panic ends only one of the
// goroutines; the caller's is the last to end, and has it.
func Parallel(n int) Option {
	return func(o *options) { o.parallel = n }
}

// OnProgress calls report while something is removed: at most every 100 ms for one removal,
// after some names were removed, and once when it is done, however little it was. So
// the last call for a path has what was removed in all.
//
// It is called by a goroutine of the removal. Calls about one removal come one after
// the other, those about removals that run at the same time may come together. No
// store's lock is held by the package; the lock of the instance is, until the call that
// is the last. A report that blocks keeps its own removal from ending. One that panics
// is not made again for that removal, which goes on; the panic is that of the caller of
// [Dir.Close], [Root.Recover] or [Remove], after the lock was released.
func OnProgress(report func(Progress)) Option {
	return func(o *options) { o.progress = report }
}

// CountBytes makes each removal count the bytes that are allocated for what it
// removes, for [Progress] and [Result]. It costs one statx for each name. A file of
// several names counts when the last of them is removed. Whether its blocks are free
// then is not known: a process may have it open, or it shares them (reflinks).
func CountBytes() Option {
	return func(o *options) { o.countBytes = true }
}

// Rate bounds how many names, and with bytes how many allocated bytes, are removed in a
// second, on average; 0 is no bound, and what was not removed in the last tenth of a
// second can be made up for. A bound of bytes counts them, see [CountBytes]; a large file
// is removed at once, and makes the next name wait. Waiting ends with the context. Roots
// and calls that are given one and the same Option share the rate.
func Rate(names, bytes int64) Option {
	shared := new(rate)
	shared.names.perSecond, shared.bytes.perSecond = float64(names), float64(bytes)
	return func(o *options) {
		if names > 0 || bytes > 0 { // else no name is to cost a look at the clock
			o.rate, o.countBytes = shared, o.countBytes || bytes > 0
		}
	}
}

// IdleIO gives the goroutines that remove a tree threads of their own with the idle
// class of input and output (ioprio_set), which end with the removal. It helps where the
// disk's scheduler heeds it (BFQ, and mq-deadline since Linux 5.14), for what a removal
// reads and writes itself, and not for what a journal writes for it later; [Rate] works
// anywhere. Where it is refused, removals go on without.
func IdleIO() Option {
	return func(o *options) { o.idle = true }
}

func init() {
	kernel.RegisterOption(func(k kernel.Kernel) Option { return func(o *options) { o.kernel = k } })
	kernel.RegisterClockOption(func(now func() time.Time) Option { return func(o *options) { o.now = now } })
}
