//go:build linux

package tempdir_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// marker makes a failing access(2) of a telling path before every call.
type marker struct{}

func (marker) Before(c *kernel.Call) error { unix.Access("/mark/"+c.Method.String(), 0); return nil }
func (marker) After(*kernel.Call)          {}

// interruptible are the calls that the child "golden" may meet EINTR at, every
// second time from the 20th on: a Go program does not start without some of them.
var interruptible = map[string]uintptr{
	"close": unix.SYS_CLOSE, "fchmodat": unix.SYS_FCHMODAT, "fcntl": unix.SYS_FCNTL, "fstatfs": unix.SYS_FSTATFS, "fsync": unix.SYS_FSYNC,
	"getdents64": unix.SYS_GETDENTS64, "ioctl": unix.SYS_IOCTL, "linkat": unix.SYS_LINKAT, "mkdirat": unix.SYS_MKDIRAT,
	"name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT, "openat": unix.SYS_OPENAT, "openat2": unix.SYS_OPENAT2,
	"pread64": unix.SYS_PREAD64, "pwrite64": unix.SYS_PWRITE64, "renameat": unix.SYS_RENAMEAT, "renameat2": unix.SYS_RENAMEAT2,
	"statx": unix.SYS_STATX, "unlinkat": unix.SYS_UNLINKAT, "fchmod": unix.SYS_FCHMOD,
}

// An interrupter lets the next call of each kind be the one that is interrupted.
type interrupter struct{}

func (interrupter) Before(*kernel.Call) error {
	unix.Access("/mark/test", 0)
	none := ^uintptr(0)
	for _, number := range interruptible {
		for last, tries := unix.EBADF, 0; tries < 100; tries++ { // strace may not know it
			_, _, errno := unix.RawSyscall6(number, none, 0, none, 0, 0, 0)
			if last == unix.EINTR && errno != unix.EINTR {
				break
			}
			last = errno
		}
	}
	return nil
}
func (interrupter) After(*kernel.Call) {}

func init() {
	// golden BASE LACK [interrupted]: every method of Kernel once, on one thread.
	proc.Register("golden", func(arguments []string) {
		runtime.LockOSThread()
		base := arguments[0]
		k := kernel.Around(kernel.Linux(), marker{})
		must(0, older[must(strconv.Atoi(arguments[1]))].lack.Apply())
		if len(arguments) > 2 {
			k = kernel.Around(k, interrupter{})
		}
		root, _, err := k.OpenRoot(base + "/root")
		must(0, err)
		must(k.OpenParent(base))
		lock := must(k.OpenUnnamed(root))
		must(k.CreateLock(root, "lock-1"))
		must(0, k.TakeLock(lock))
		must(0, k.WriteOwner(lock, []byte("owner")))
		must(0, k.LinkLock(lock, root, "lock-2"))
		must(k.Stat(lock))
		must(k.StatName(root, "lock-2"))
		must(0, k.MakeData(root, "temp-dir-2"))
		must(0, k.StageDeletion(base+"/victim", root, "temp-dir-2/0-victim"))
		must(0, k.CommitPlainly(root, "temp-dir-2/0-victim/plain", base+"/plain"))
		must(0, k.LinkEntry(root, "temp-dir-2/0-victim/linked", base+"/linked"))
		if k.Commit(root, "temp-dir-2/0-victim", base+"/committed") != nil {
			unix.Access("/mark/test", 0)
			must(0, os.Rename(base+"/root/temp-dir-2/0-victim", base+"/committed"))
		}
		unix.Access("/mark/test", 0)
		must(0, os.Rename(base+"/committed/closed", base+"/root/temp-dir-2/closed"))
		data := must(k.OpenDirectory(root, "temp-dir-2"))
		if len(must(k.List(data, nil))) == 0 {
			panic("the first answer, without any name, is not the end")
		}
		if _, err := k.OpenLock(root, "temp-dir-2"); err != unix.EISDIR { // about the name
			panic(err)
		}
		must(0, k.SyncData(data))
		must(0, k.SyncAll(data))
		must(0, k.Owns(root, "temp-dir-2"))
		must(0, k.Hoist(data, "closed", data, "0-hoisted"))
		must(0, k.ChangeMode(data, "0-hoisted", 0o700))
		must(0, k.SetFlags(data, "0-hoisted", unix.STATX_ATTR_APPEND))
		must(k.ClearFlags(data, "0-hoisted"))
		_ = k.Detach(data, "0-hoisted")
		unix.Access("/mark/test", 0)
		_ = os.WriteFile(base+"/root/temp-dir-2/file", nil, 0o600) // its close may be interrupted
		must(0, k.RemoveEntry(data, "file"))
		must(0, k.RemoveDirectory(data, "0-hoisted"))
		must(0, k.RemoveData(root, "temp-dir-2"))
		must(k.OpenLock(root, "lock-1"))
		read := must(k.OpenToInspect(root, "lock-1"))
		must(k.LockHolder(read))
		must(0, k.ShareLock(read))
		must(k.ReadOwner(read))
		must(0, k.RemoveLock(root, "lock-1"))
		if err := k.Close(lock); err != unix.EINTR {
			must(0, err)
		}
		unix.Access("/mark/end", 0)
	})
}

// golden are the system calls of every method, with what they say below the seam:
// by name or by descriptor, flags, modes, how a lookup is confined. Everything
// that is opened is closed by exec; what is made is for its owner alone; and a
// link as a name's last element is never followed.
var golden = map[string]string{
	"ChangeMode": `openat2(<root/temp-dir-2>, "0-hoisted", {flags=O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH|O_DIRECTORY, resolve=beneath}, 24)
fchmodat2
close(<root/temp-dir-2/0-hoisted>)`,
	"ClearFlags": `openat2(<root/temp-dir-2>, "0-hoisted", {flags=O_RDONLY|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC, resolve=beneath}, 24)
ioctl(<root/temp-dir-2/0-hoisted>, BTRFS_IOC_SUBVOL_GETFLAGS, P) = ENOTTY
ioctl(<root/temp-dir-2/0-hoisted>, FS_IOC_GETFLAGS, append)
ioctl(<root/temp-dir-2/0-hoisted>, FS_IOC_SETFLAGS)
close(<root/temp-dir-2/0-hoisted>)`,
	"Close":         `close(<unnamed>)`,
	"Commit":        `renameat2(<root>, "temp-dir-2/0-victim", AT_FDCWD, "BASE/committed", RENAME_NOREPLACE)`,
	"CommitPlainly": `renameat(<root>, "temp-dir-2/0-victim/plain", AT_FDCWD, "BASE/plain")`,
	"CreateLock":    `openat(<root>, "lock-1", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600)`,
	"Detach": `unshare(CLONE_FS)
fchdir(<root/temp-dir-2>)
umount2("0-hoisted", MNT_DETACH|UMOUNT_NOFOLLOW) = EINVAL`,
	"Hoist":         `renameat2(<root/temp-dir-2>, "closed", <root/temp-dir-2>, "0-hoisted", RENAME_NOREPLACE)`,
	"LinkEntry":     `linkat(<root>, "temp-dir-2/0-victim/linked", AT_FDCWD, "BASE/linked", 0)`,
	"LinkLock":      `linkat(AT_FDCWD, "/proc/self/fd/N", <root>, "lock-2", AT_SYMLINK_FOLLOW)`,
	"List":          `getdents64(<root/temp-dir-2>, P, 16384)` + onlyDots,
	"LockHolder":    `fcntl(<root/lock-1>, F_OFD_GETLK, {l_type=F_UNLCK, l_whence=SEEK_SET, l_start=0, l_len=0, l_pid=0})`,
	"MakeData":      `mkdirat(<root>, "temp-dir-2", 0700)`,
	"OpenDirectory": `openat2(<root>, "temp-dir-2", {flags=O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY, resolve=beneath}, 24)`,
	"OpenLock": `openat2(<root>, "temp-dir-2", {flags=O_RDWR|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC, resolve=beneath}, 24) = EISDIR
openat2(-1, "", {flags=O_RDONLY, resolve=P}, 24) = EINVAL
openat2(<root>, "lock-1", {flags=O_RDWR|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC, resolve=beneath}, 24)`,
	"OpenParent": `openat(AT_FDCWD, "BASE", O_RDONLY|O_CLOEXEC|O_PATH|O_DIRECTORY)`,
	"OpenRoot": `openat2(AT_FDCWD, "BASE/root", {flags=O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY, resolve=0}, 24)
fstatfs(<root>)`,
	"OpenToInspect": `openat2(<root>, "lock-1", {flags=O_RDONLY|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC, resolve=beneath}, 24)`,
	"OpenUnnamed":   `openat(<root>, ".", O_RDWR|O_CLOEXEC|O_TMPFILE, 0600)`,
	"Owns": `openat2(<root>, "temp-dir-2", {flags=O_RDONLY|O_NOFOLLOW|O_NOATIME|O_CLOEXEC|O_DIRECTORY, resolve=beneath}, 24)
close(<root/temp-dir-2>)`,
	"ReadOwner":       `pread64(<root/lock-1>, "", 1024, 0)`,
	"RemoveData":      `unlinkat(<root>, "temp-dir-2", AT_REMOVEDIR)`,
	"RemoveDirectory": `unlinkat(<root/temp-dir-2>, "0-hoisted", AT_REMOVEDIR)`,
	"RemoveEntry":     `unlinkat(<root/temp-dir-2>, "file", 0)`,
	"RemoveLock":      `unlinkat(<root>, "lock-1", 0)`,
	"SetFlags": `openat2(<root/temp-dir-2>, "0-hoisted", {flags=O_RDONLY|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC, resolve=beneath}, 24)
ioctl(<root/temp-dir-2/0-hoisted>, BTRFS_IOC_SUBVOL_GETFLAGS, P) = ENOTTY
ioctl(<root/temp-dir-2/0-hoisted>, FS_IOC_GETFLAGS)
ioctl(<root/temp-dir-2/0-hoisted>, FS_IOC_SETFLAGS, append)
close(<root/temp-dir-2/0-hoisted>)`,
	"ShareLock":     `fcntl(<root/lock-1>, F_OFD_SETLK, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=0, l_len=0})`,
	"StageDeletion": `renameat2(AT_FDCWD, "BASE/victim", <root>, "temp-dir-2/0-victim", RENAME_NOREPLACE)`,
	"Stat":          `statx(<unnamed>, "", AT_STATX_SYNC_AS_STAT|AT_NO_AUTOMOUNT|AT_EMPTY_PATH, STATX_BASIC_STATS)`,
	"StatName":      `statx(<root>, "lock-2", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW|AT_NO_AUTOMOUNT, STATX_BASIC_STATS)`,
	"SyncAll":       `syncfs(<root/temp-dir-2>)`,
	"SyncData":      `fsync(<root/temp-dir-2>)`,
	"TakeLock":      `fcntl(<unnamed>, F_OFD_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0})`,
	"WriteOwner":    `pwrite64(<unnamed>, "owner", 5, 0)`,
}

// dots are what getdents64 says of "." and "..", which some file systems say first and
// alone; onlyDots is that call.
var (
	dots     = dirent(".") + dirent("..")
	onlyDots = "\ngetdents64(<root/temp-dir-2>, P, 16384)"
)

// dirent is a directory as getdents64 has it, in hexadecimal digits.
func dirent(name string) string {
	var b [24]byte
	binary.NativeEndian.PutUint16(b[16:], uint16(len(b)))
	b[18] = unix.DT_DIR
	copy(b[19:], name)
	return strings.ReplaceAll(fmt.Sprintf("% x", b), " ", "")
}

// goldenBase makes what the child "golden" works on.
func goldenBase(t *testing.T) (base string) {
	t.Helper()
	needsRoot(t, "to set flags of files")
	base = t.TempDir()
	for _, dir := range []string{"root", "victim"} {
		require.NoError(t, os.Mkdir(filepath.Join(base, dir), 0o700))
	}
	// What CommitPlainly, LinkEntry and Hoist find in the data directory.
	for _, name := range []string{"plain", "linked"} {
		require.NoError(t, os.WriteFile(filepath.Join(base, "victim", name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(base, "victim", "closed"), 0o700))
	return base
}

// older are kernels and sandboxes that lack calls, with the lines that differ there.
var older = []struct {
	name   string
	lack   testfs.Lack
	golden map[string]string
}{
	{name: "nothing"},
	{name: "Linux 5.5", lack: testfs.Lack{Calls: map[string]syscall.Errno{
		"openat2": unix.ENOSYS, "statx": unix.ENOSYS, "renameat2": unix.ENOSYS, "fchmodat2": unix.ENOSYS,
		fmt.Sprintf("linkat 4&%d", unix.AT_SYMLINK_FOLLOW): unix.ENOENT,
	}}, golden: map[string]string{
		"ChangeMode": `mount(<root/temp-dir-2>)
openat(<root/temp-dir-2>, "0-hoisted", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH)
mount(<root/temp-dir-2/0-hoisted>)
openat(<root/temp-dir-2>, "0-hoisted", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH|O_DIRECTORY)
mount(<root/temp-dir-2/0-hoisted>)
close(<root/temp-dir-2/0-hoisted>)
fchmodat2
fchmodat(AT_FDCWD, "/proc/self/fd/N", 0700)
close(<root/temp-dir-2/0-hoisted>)`,
		"ClearFlags": `mount(<root/temp-dir-2>)
openat(<root/temp-dir-2>, "0-hoisted", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH)
mount(<root/temp-dir-2/0-hoisted>)
openat(<root/temp-dir-2>, "0-hoisted", O_RDONLY|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC)
mount(<root/temp-dir-2/0-hoisted>)
close(<root/temp-dir-2/0-hoisted>)
ioctl(<root/temp-dir-2/0-hoisted>, BTRFS_IOC_SUBVOL_GETFLAGS, P) = ENOTTY
ioctl(<root/temp-dir-2/0-hoisted>, FS_IOC_GETFLAGS, append)
ioctl(<root/temp-dir-2/0-hoisted>, FS_IOC_SETFLAGS)
close(<root/temp-dir-2/0-hoisted>)`,
		"Commit": `renameat2(<root>, "temp-dir-2/0-victim", AT_FDCWD, "BASE/committed", RENAME_NOREPLACE) = ENOSYS`,
		"Hoist": `renameat2(<root/temp-dir-2>, "closed", <root/temp-dir-2>, "0-hoisted", RENAME_NOREPLACE) = ENOSYS
renameat(<root/temp-dir-2>, "closed", <root/temp-dir-2>, "0-hoisted")`,
		"LinkLock": `linkat(AT_FDCWD, "/proc/self/fd/N", <root>, "lock-2", AT_SYMLINK_FOLLOW) = ENOENT
linkat(<unnamed>, "", <root>, "lock-2", AT_EMPTY_PATH)`,
		"OpenDirectory": `mount(<root>)
openat(<root>, "temp-dir-2", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH)
mount(<root/temp-dir-2>)
openat(<root>, "temp-dir-2", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY)
mount(<root/temp-dir-2>)
close(<root/temp-dir-2>)`,
		"OpenLock": `mount(<root>)
openat(<root>, "temp-dir-2", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH)
mount(<root/temp-dir-2>)
openat(<root>, "temp-dir-2", O_RDWR|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC) = EISDIR
close(<root/temp-dir-2>)
mount(<root>)
openat(<root>, "lock-1", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH)
mount(<root/lock-1>)
openat(<root>, "lock-1", O_RDWR|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC)
mount(<root/lock-1>)
close(<root/lock-1>)`,
		"OpenRoot": `openat2(AT_FDCWD, "BASE/root", {flags=O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY, resolve=0}, 24) = ENOSYS
openat2(-1, "", {flags=O_RDONLY, resolve=P}, 24) = ENOSYS
openat(AT_FDCWD, "BASE/root", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY)
mount(<root>)
fstatfs(<root>)`,
		"OpenToInspect": `mount(<root>)
openat(<root>, "lock-1", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH)
mount(<root/lock-1>)
openat(<root>, "lock-1", O_RDONLY|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC)
mount(<root/lock-1>)
close(<root/lock-1>)`,
		"Owns": `mount(<root>)
openat(<root>, "temp-dir-2", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH)
mount(<root/temp-dir-2>)
openat(<root>, "temp-dir-2", O_RDONLY|O_NOFOLLOW|O_NOATIME|O_CLOEXEC|O_DIRECTORY)
mount(<root/temp-dir-2>)
close(<root/temp-dir-2>)
close(<root/temp-dir-2>)`,
		"SetFlags": `mount(<root/temp-dir-2>)
openat(<root/temp-dir-2>, "0-hoisted", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH)
mount(<root/temp-dir-2/0-hoisted>)
openat(<root/temp-dir-2>, "0-hoisted", O_RDONLY|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC)
mount(<root/temp-dir-2/0-hoisted>)
close(<root/temp-dir-2/0-hoisted>)
ioctl(<root/temp-dir-2/0-hoisted>, BTRFS_IOC_SUBVOL_GETFLAGS, P) = ENOTTY
ioctl(<root/temp-dir-2/0-hoisted>, FS_IOC_GETFLAGS)
ioctl(<root/temp-dir-2/0-hoisted>, FS_IOC_SETFLAGS, append)
close(<root/temp-dir-2/0-hoisted>)`,
		"StageDeletion": `renameat2(AT_FDCWD, "BASE/victim", <root>, "temp-dir-2/0-victim", RENAME_NOREPLACE) = ENOSYS
renameat(AT_FDCWD, "BASE/victim", <root>, "temp-dir-2/0-victim")`,
		"Stat": `statx(<unnamed>, "", AT_STATX_SYNC_AS_STAT|AT_NO_AUTOMOUNT|AT_EMPTY_PATH, STATX_BASIC_STATS, P) = ENOSYS
newfstatat(<unnamed>, "", AT_NO_AUTOMOUNT|AT_EMPTY_PATH)`,
		"StatName": `statx(<root>, "lock-2", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW|AT_NO_AUTOMOUNT, STATX_BASIC_STATS, P) = ENOSYS
newfstatat(<root>, "lock-2", AT_SYMLINK_NOFOLLOW|AT_NO_AUTOMOUNT)`,
	}},
	{name: "sandbox", lack: testfs.Lack{Calls: map[string]syscall.Errno{"fchmodat": unix.EPERM, "fchmodat2": unix.EPERM}}, golden: map[string]string{
		"ChangeMode": `openat2(<root/temp-dir-2>, "0-hoisted", {flags=O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH|O_DIRECTORY, resolve=beneath}, 24)
fchmodat2
fchmodat(AT_FDCWD, "/proc/self/fd/N", 0700) = EPERM
fchmodat(<root/temp-dir-2/0-hoisted>, ".", 0700) = EPERM
openat(<root/temp-dir-2>, "0-hoisted", O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY)
statx(<root/temp-dir-2/0-hoisted>, "", AT_STATX_SYNC_AS_STAT|AT_NO_AUTOMOUNT|AT_EMPTY_PATH, STATX_BASIC_STATS)
statx(<root/temp-dir-2/0-hoisted>, "", AT_STATX_SYNC_AS_STAT|AT_NO_AUTOMOUNT|AT_EMPTY_PATH, STATX_BASIC_STATS)
fchmod(<root/temp-dir-2/0-hoisted>, 0700)
close(<root/temp-dir-2/0-hoisted>)
close(<root/temp-dir-2/0-hoisted>)`,
	}},
}

// subject is a line's call, what it is about, and whether it was interrupted.
var subject = regexp.MustCompile(`(?m)^(\w+)(?:(\([^,)\n]*)?.*?)( = EINTR)?$`)

var closeInterrupted = regexp.MustCompile(`(close.*) = EINTR`)

func TestArgumentsBelowTheSeam(t *testing.T) {
	for i, o := range older {
		t.Run(o.name, func(t *testing.T) {
			want := maps.Clone(golden)
			maps.Copy(want, o.golden)
			got := belowTheSeam(t, goldenBase(t), strconv.Itoa(i))
			short := map[string]string{}
			for method, lines := range got {
				short[method] = mountNumber.ReplaceAllString(lines, "mount($1)")
			}
			requireGolden(t, want, short)
			if testing.Short() && i > 0 || strconv.IntSize == 32 { // there they have other numbers
				return
			}
			interrupted := belowTheSeam(t, goldenBase(t), strconv.Itoa(i), "interrupted")
			for method := range got { // every call is made again, and no close is
				want[method] = subject.ReplaceAllStringFunc(strings.TrimSuffix(got[method], onlyDots), func(line string) string {
					call := subject.FindStringSubmatch(line)
					if call[1] != "close" && interruptible[call[1]] != 0 || call[1] == "umount2" {
						return call[1] + call[2] + " = EINTR\n" + call[1] + call[2]
					}
					return call[1] + call[2]
				})
				interrupted[method] = closeInterrupted.ReplaceAllString(subject.ReplaceAllString(interrupted[method], "$1$2$3"), "$1")
			}
			requireGolden(t, want, interrupted)
		})
	}
}

func requireGolden(t *testing.T, want, got map[string]string) {
	t.Helper()
	k := reflect.TypeFor[kernel.Kernel]()
	for i := range k.NumMethod() {
		assert.Contains(t, got, k.Method(i).Name, "a method without a line")
	}
	for _, method := range slices.Sorted(maps.Keys(got)) {
		assert.Equal(t, want[method], got[method], method)
	}
}

// mountNumber is how the number of a mount is found out before Linux 5.8.
var mountNumber = regexp.MustCompile(`statx\((<[^>]*>), "", AT_STATX_DONT_SYNC\|AT_EMPTY_PATH, STATX_MNT_ID, P\) = ENOSYS
name_to_handle_at\(<[^>]*>, "", AT_EMPTY_PATH\)`)

// belowTheSeam returns the system calls that each method makes in the child
// "golden".
func belowTheSeam(t *testing.T, base string, arguments ...string) map[string]string {
	t.Helper()
	options := []string{"-y"}
	if len(arguments) == 1 {
		options = append(options, "-e", "inject=getdents64:retval=48:poke_exit=@arg2="+dots+":when=1")
	} else {
		options = append(options, "-e", "inject=umount2:error=EINTR:when=1+2")
		for name := range interruptible {
			options = append(options, "-e", "inject="+name+":error=EINTR:when=20+2")
		}
	}
	content := testfs.Strace(t, proc.New("golden", append([]string{base}, arguments...)...).Cmd, options...)
	short := regexp.MustCompile(`AT_FDCWD<[^>]*>|\d+<[^>]*>(\(deleted\))?|/proc/self/fd/\d+|0x[0-9a-f]+( /\*.*\*/)?|, \{(handle_bytes.*\[\d+\]|st_mode.*\})|, ?\{(stx_mask|f_type).*|\) += .*|RESOLVE_[A-Z_|]+|FLAGS, \[[^]]*\]`)
	calls := map[string][]string{}
	for match, section := range betweenMarks(content, "unshare", "fchdir", "umount2") {
		text := short.ReplaceAllStringFunc(match[3], func(s string) string {
			switch {
			case strings.HasPrefix(s, "AT_FDCWD"):
				return "AT_FDCWD"
			case strings.HasPrefix(s, "/proc"):
				return s[:strings.LastIndexByte(s, '/')+1] + "N"
			case strings.HasPrefix(s, "0x"):
				return "P"
			case strings.HasPrefix(s, "RESOLVE"):
				return strings.Replace(s, "RESOLVE_NO_XDEV|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH", "beneath", 1)
			case strings.HasPrefix(s, ", {handle"), strings.HasPrefix(s, ", {st_mode"):
				return ""
			case s[0] == ')' || s[0] == ',':
				if _, errno, failed := strings.Cut(s, " = -1 "); failed {
					return ") = " + errno[:strings.IndexByte(errno, ' ')]
				}
				return ")"
			case strings.HasPrefix(s, "FLAGS") && strings.Contains(s, "APPEND"):
				return "FLAGS, append"
			case strings.HasPrefix(s, "FLAGS"):
				return "FLAGS"
			case strings.HasSuffix(s, "(deleted)"):
				return "<unnamed>"
			case s[0] >= '0' && s[0] <= '9':
				_, path, _ := strings.Cut(s, "<")
				return "<" + strings.TrimPrefix(path, base+"/")
			}
			return s
		})
		text = testfs.Any32.Replace(match[2]) + strings.NewReplacer(base, "BASE", "FS_IOC32", "FS_IOC", "O_LARGEFILE|", "", "<root>, 84", "<root>", "16380", "16384").Replace(text)
		if match[2] == "syscall_0x1c4" || match[2] == "fchmodat2" { // not all know it
			text = "fchmodat2"
		}
		calls[section] = append(calls[section], text)
	}
	delete(calls, "test")
	got := map[string]string{}
	for method, lines := range calls {
		got[method] = strings.Join(lines, "\n")
	}
	return got
}
