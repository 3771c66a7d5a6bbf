package worlds

import (
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An excuse is what a world with all values of when may answer to some steps, and to
// all if none is named: kinds, each of which comes with any errno or none, and, after
// a colon, errnos that come without a kind. What is asked for on demand, as root, has
// no excuse in flags and mounts.
type excuse struct{ when, steps, what string }

// withoutLocks are refusals with which nothing is recovered, nor a layer stored.
var withoutLocks = []string{"ofdlocks-ENOLCK", "ofdlocks-EPERM", "everything-of-a-network"}

// writing are the programs that do not only look.
const writing = "program=delete|remove|release|add|recover|cli-rm|cli-recover|store-create|store-delete|store-recover|overlay-create|overlay-delete"

var excuses = []excuse{
	{"fs=readonly " + writing, "", "ErrReadOnly :EROFS"},
	{"space=turnsreadonly " + writing, "", "ErrReadOnly :EROFS"},
	{"space=noblocks|noinodes " + writing, "open,create,build,commit,commit over,stage,layer created,recover store", "ErrNoSpace :ENOSPC"},
	{"space=quota " + writing, "open,create,build,commit,commit over,stage,layer created", "ErrNoSpace :EDQUOT"},

	{"place=mount|lower|project", "stage,commit,commit over,layer created", "ErrCrossDevice"},
	{"alias=bind", "stage,commit,commit over", "ErrCrossDevice"},
	{"refuse=rename-EXDEV", "stage,commit,commit over,layer created", "ErrCrossDevice :EXDEV"},
	// There is neither RENAME_NOREPLACE nor a hard link to put a file in place with.
	{"refuse=linkat-EPERM fs=fuse", "layer created", "ErrUnsupported"},
	{"refuse=linkat-EXDEV fs=fuse", "layer created", "ErrCrossDevice"},
	{"refuse=rename-EIO", "stage,commit,commit over,layer created", ":EIO"},
	{"refuse=ofdlocks-ENOLCK|everything-of-a-network", "", ":ENOLCK"},
	{"refuse=ofdlocks-EPERM", "", ":EPERM"},
	{"refuse=everything-of-a-sandbox proc=none|subset|foreign", "", "ErrUnsupported ErrMountsUnknown :ENOSYS :EPERM"},
	{"refuse=everything-of-a-sandbox proc=none|subset|foreign shape=deadvictim", "", ":ENOTCONN"}, // no call tells that it is a mount
	{"refuse=listmount-ENOSYS|everything-before-2020 proc=none|foreign", "layer deleted", "ErrMountsUnknown :ENOSYS"},

	{"shape=foreign user=ordinary", "", ":EACCES"},
	{"place=lower user=ordinary space=noblocks|noinodes", "", ":EACCES"}, // to change a mode takes space, too
	// Its mode, which keeps it from being moved, is behind the mount, and what is mounted may
	// be dead, and not tell that it is a mount. So is the errno of rm.
	{"place=lower|project user=ordinary shape=mounted|deadvictim", "stage", ":EACCES"},
	{"shape=closed user=ordinary proc=none", "", ":EACCES"}, // "Systems" in package tempdir
	{"shape=closed user=ordinary space=turnsreadonly", "", ":EACCES"},
	{"shape=closed user=ordinary fs=readonly", "", ":EACCES"},
	// What is mounted by another name keeps the directory from being removed by this one, where
	// nobody can see it: a kind would be a guess (rule 14). So is the errno of rm.
	{"shape=mounts|mounted|livefuse|deadfuse|deadvictim alias=bind", "", ":EBUSY"},
	{"shape=immutable|frozen|pinned|locked", "", "ErrImmutable"},
	{"shape=immutable|frozen|pinned|locked refuse=flags-hidden|statx-ENOSYS|statx-EACCES|everything-of-a-sandbox", "", ":EPERM"},
	{"shape=mounts|mounted|livefuse|deadfuse|deadvictim", "", "ErrMountPoint ErrMounted"},
	{"shape=locked program=store-create|store-delete|store-recover|overlay-create|overlay-delete", "", ":EPERM"},
	{"shape=locked space=quota|noblocks|noinodes", "", ":EDQUOT :ENOSPC"}, // to exchange it, after which it cannot be written over
	{"shape=sealed", "", "ErrReadOnly"},

	{"root=exposed", "", "ErrExposed"},
	{"use=whole|part|overlay|relative|held", "layer deleted", "ErrMounted"},
	{"program=add", "commit over", "ErrExist :EEXIST"},
	{"program=store-create|overlay-create", "layer created again", "ErrLayerExists"},
	{"company=writer", "", ":ENOTEMPTY"},
	{"fs=fuse company=reader", "", ":ENOTEMPTY"},
	{"company=cleaner", "", "ErrInstanceGone"},
	{"company=cleaner space=noblocks|noinodes|quota", "", "ErrNoSpace"}, // to adopt takes a name
	{"root=others space=noblocks|noinodes|quota", "recover,command", "ErrNoSpace"},
	{"place=lower space=noblocks|noinodes", "remove,close,recover,command,layer deleted", "ErrNoSpace :ENOSPC"}, // so do whiteouts
}

// unexplained returns the reason of a failed step that no value of the world explains.
func unexplained(w World, s step) string {
	var allowed []string
	for _, e := range excuses {
		flags := strings.HasPrefix(e.when, "shape=immutable") || e.when == "shape=sealed"
		mounts := strings.Contains(e.what, "ErrMountPoint")
		// What is added clears nothing; what is staged or in a store detaches nothing, nor
		// what was mounted by another name.
		asked := s.Demand && w.is(user, "self") &&
			(flags && s.What != "layer created" && !w.is(refuse, "getflags-ENOTTY") ||
				mounts && s.What != "stage" && !w.is(alias, "bind") && !ofStore(w.value(program)))
		if w.has(e.when) && !asked && (e.steps == "" || slices.Contains(strings.Split(e.steps, ","), s.What)) {
			allowed = append(allowed, strings.Fields(e.what)...)
		}
	}
	if s.What == "command" {
		for _, word := range allowed {
			text := strings.TrimPrefix(word, ":")
			if kind := kinds[word]; kind != nil {
				text = kind.Error()
			} else if errno := errnoNamed(text); errno != 0 {
				text = errno.Error()
			}
			if strings.Contains(s.Text, text) {
				return ""
			}
		}
		return "its exit code"
	}
	for _, reason := range s.Reasons {
		kind, _, _ := strings.Cut(reason, ":")
		if !slices.Contains(allowed, kind) && !slices.Contains(allowed, reason) || reason == ":" {
			return reason
		}
	}
	if len(s.Reasons) == 0 {
		return "an error without a reason"
	}
	return ""
}

// errnoNamed is the errno of a name, or 0.
func errnoNamed(name string) syscall.Errno {
	for errno := syscall.Errno(1); errno < 200; errno++ {
		if unix.ErrnoName(errno) == name {
			return errno
		}
	}
	return 0
}
