//go:build linux

package layerstore_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
)

func init() {
	// golden BASE: every method of Disk, on one thread, between failing calls of
	// access(2) with telling paths. What is injected may make some fail.
	proc.Register("golden", func(arguments []string) {
		runtime.LockOSThread()
		base := arguments[0] + "/"
		d := kernel.AroundDisk(kernel.LinuxDisk(), func(method, _ string) error { unix.Access("/mark/"+method, 0); return nil })
		whole := kernel.ByteRange{Offset: 7, Exclusive: true}
		must(0, d.MakeDirectory(base+"made", 0o750))
		must(0, d.Remove(base+"made"))
		lock := must(d.OpenLock(base+"lock", true))
		must(d.OpenLock(base+"lock", false))
		read := must(d.OpenLockToRead(base + "lock"))
		must(d.ReadOnly(arguments[0]))
		must(0, d.TakeLock(lock, whole))
		must(d.TestLock(read, kernel.ByteRange{Offset: 9}))
		must(0, d.AwaitLock(lock, kernel.ByteRange{Offset: 8}))
		must(d.Links(lock))
		must(d.ReadToken(lock))
		must(0, d.WriteToken(lock, kernel.Token{16: 1}))
		spare := must(d.WriteSpare(base+"spare", []byte("new")))
		must(d.WriteSpare(base+"twice", []byte("new"))) // which has another name
		must(0, d.SyncSpare(spare))
		must(d.StatMetadata(base + "metadata"))
		must(d.ReadMetadata(base + "metadata"))
		_ = d.Replace(base+"spare", base+"metadata")
		_ = d.Replace(base+"spare", base+"absent")
		must(0, d.Writable(base+"metadata"))
		must(0, d.SyncDirectory(arguments[0]))
		must(0, d.SyncContent(arguments[0]))
		_ = d.Close(lock)
		_ = d.Close(read) // one of them is interrupted
		unix.Access("/mark/end", 0)
	})
}

// golden are the system calls of every method, with what they say below the seam: what
// is opened is closed by exec and never a link, what is made is for its owner alone,
// nothing is shortened, and a lock is of one byte.
var golden = map[string]string{
	"AwaitLock": `fcntl(<BASE/lock>, F_OFD_SETLKW, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=8, l_len=1})`,
	"Close": `close(<BASE/lock>)
close(<BASE/lock>)`,
	"Links":         `statx(<BASE/lock>, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_TYPE|STATX_NLINK|STATX_SIZE)`,
	"MakeDirectory": `mkdirat(AT_FDCWD, "BASE/made", 0750)`,
	"OpenLock": `openat(AT_FDCWD, "BASE/lock", O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0600)
fstat(<BASE/lock>)
fstatfs(<BASE/lock>)
openat(AT_FDCWD, "BASE/lock", O_RDWR|O_NOFOLLOW|O_CLOEXEC)`,
	"OpenLockToRead": `openat(AT_FDCWD, "BASE/lock", O_RDONLY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC)`,
	"ReadMetadata": `openat(AT_FDCWD, "BASE/metadata", O_RDONLY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC)
fstat(<BASE/metadata>)
pread64(<BASE/metadata>, "metadata", 8, 0)
close(<BASE/metadata>)`,
	"ReadOnly":  `statfs("BASE")`,
	"ReadToken": `pread64(<BASE/lock>, "", 17, 0)`,
	"Remove": `unlinkat(AT_FDCWD, "BASE/made", 0)
unlinkat(AT_FDCWD, "BASE/made", AT_REMOVEDIR)`,
	"Replace": `renameat2(AT_FDCWD, "BASE/spare", AT_FDCWD, "BASE/metadata", RENAME_EXCHANGE)
renameat2(AT_FDCWD, "BASE/spare", AT_FDCWD, "BASE/absent", RENAME_EXCHANGE)
newfstatat(AT_FDCWD, "BASE/absent", AT_SYMLINK_NOFOLLOW)
renameat(AT_FDCWD, "BASE/spare", AT_FDCWD, "BASE/absent")`,
	"StatMetadata": `statx(AT_FDCWD, "BASE/metadata", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW, STATX_MTIME|STATX_INO|STATX_SIZE)`,
	"SyncContent": `openat(AT_FDCWD, "BASE", O_RDONLY|O_CLOEXEC|O_DIRECTORY)
syncfs(<BASE>)
close(<BASE>)`,
	"SyncDirectory": `openat(AT_FDCWD, "BASE", O_RDONLY|O_CLOEXEC|O_DIRECTORY)
fsync(<BASE>)
close(<BASE>)`,
	"SyncSpare": `fsync(<BASE/spare>)`,
	"TakeLock":  `fcntl(<BASE/lock>, F_OFD_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=7, l_len=1})`,
	"TestLock":  `fcntl(<BASE/lock>, F_OFD_GETLK, {l_type=F_UNLCK, l_whence=SEEK_SET, l_start=9, l_len=1, l_pid=0})`,
	"Writable": `openat(AT_FDCWD, "BASE/metadata", O_WRONLY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC)
statx(<BASE/metadata>, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_TYPE|STATX_NLINK|STATX_SIZE)
close(<BASE/metadata>)`,
	"WriteSpare": `openat(AT_FDCWD, "BASE/spare", O_WRONLY|O_CREAT|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC, 0600)
statx(<BASE/spare>, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_TYPE|STATX_NLINK|STATX_SIZE)
pwrite64(<BASE/spare>, "new            ", 15, 0)
openat(AT_FDCWD, "BASE/twice", O_WRONLY|O_CREAT|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC, 0600)
statx(<BASE/twice>, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_TYPE|STATX_NLINK|STATX_SIZE)
close(<BASE/twice>)
unlinkat(AT_FDCWD, "BASE/twice", 0)
openat(AT_FDCWD, "BASE/twice", O_WRONLY|O_CREAT|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC, 0600)
statx(<BASE/twice>, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_TYPE|STATX_NLINK|STATX_SIZE)
fstatfs(<BASE/twice>)
pwrite64(<BASE/twice>, "new", 3, 0)`,
	"WriteToken": `pwrite64(<BASE/lock>, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 17, 0)`,
}

// injected is what strace lets calls that are about the base say instead, and what is
// another in the golden lines then. A call that is interrupted is made again, and a close
// is not.
var injected = []struct {
	name, calls string
	change      []string // what matches, and what it is
}{
	{"nothing", "", nil},
	{"EINTR", "openat,mkdirat,unlinkat,fcntl,?fcntl64,statx,pread64,pwrite64,fsync,syncfs,statfs,?statfs64,renameat,renameat2:error=EINTR:when=1+2", nil},
	{"EINTR of close", "close:error=EINTR:when=1+2", nil},
	{"short answers", "pread64,pwrite64:retval=3:when=2", []string{
		`pread64.*"metadata", 8, 0\)`, "pread64(<BASE/metadata>, \"\\0\\0\\0\", 8, 0)\npread64(<BASE/metadata>, \"adata\", 5, 3)",
		`(pwrite64.*, 15, 0\))`, "$1\npwrite64(<BASE/spare>, \"            \", 12, 3)",
	}},
	{"no statx", "statx:error=ENOSYS", []string{
		`(statx\(<(BASE/\w+)>.*\))`, "$1\nfstat(<$2>)",
		`(statx\(AT_FDCWD, ([^,]*),.*\))`, "$1\nnewfstatat(AT_FDCWD, $2, AT_SYMLINK_NOFOLLOW)",
	}},
	{"no exchange", "renameat2:error=EINVAL", []string{
		`(renameat2.*"BASE/metadata".*\))`, "$1\nnewfstatat(AT_FDCWD, \"BASE/metadata\", AT_SYMLINK_NOFOLLOW)",
	}},
}

// What the methods of Disk tell the kernel.
func TestArgumentsBelowTheSeam(t *testing.T) {
	methods := []string{"end"}
	for i := range reflect.TypeFor[kernel.Disk]().NumMethod() {
		methods = append(methods, reflect.TypeFor[kernel.Disk]().Method(i).Name)
	}
	for _, c := range injected {
		base := scratch(t)
		for name, content := range map[string]string{"metadata": "metadata", "spare": "longer than new", "twice": "old"} {
			require.NoError(t, os.WriteFile(filepath.Join(base, name), []byte(content), 0o600))
		}
		require.NoError(t, os.Link(filepath.Join(base, "twice"), filepath.Join(base, "backup")))
		options := []string{"-y"}
		for _, name := range []string{"", "/made", "/lock", "/spare", "/twice", "/metadata", "/absent"} {
			options = append(options, "-P", base+name)
		}
		for _, method := range methods {
			options = append(options, "-P", "/mark/"+method)
		}
		if c.calls != "" {
			options = append(options, "-e", "inject="+c.calls)
		}
		got := methodLines(testfs.Strace(t, proc.New("golden", base).Cmd, options...), base)
		for _, method := range methods[1:] {
			want := golden[method]
			for i := 0; i < len(c.change); i += 2 {
				want = regexp.MustCompile(c.change[i]).ReplaceAllString(want, c.change[i+1])
			}
			assert.Equal(t, want, got[method], "%s: %s", c.name, method)
		}
	}
}

// methodLines are the calls of every method in a log of strace, without those that were
// interrupted and have to be made again.
func methodLines(log, base string) map[string]string {
	fds := regexp.MustCompile(`\b\d+<([^>]*)>`)
	rest := regexp.MustCompile(`, ?\{(f_type|stx_mask).*|\) += .*|0x[0-9a-f]+ /\*[^*]*\*/`)
	lstat32 := regexp.MustCompile(`lstat64\(("[^"]*")\)`)
	status := regexp.MustCompile(`, (\{st_mode[^}]*\}|0x[0-9a-f]{6,})`) // or where it would go
	got, section, thread := map[string]string{}, "", ""
	for _, match := range regexp.MustCompile(`(?m)^(\d+) +(\w+)\((.*)$`).FindAllStringSubmatch(log, -1) {
		if _, name, ok := strings.Cut(match[3], `"/mark/`); ok {
			thread, section = match[1], name[:strings.IndexByte(name, '"')]
			continue
		}
		if match[1] != thread || section == "" || slices.Contains(testfs.RuntimeCalls, match[2]) || strings.Contains(match[3], " EINTR ") && match[2] != "close" {
			continue
		}
		text := fds.ReplaceAllString(strings.ReplaceAll(match[3], base, "BASE"), "<$1>")
		text = rest.ReplaceAllString(status.ReplaceAllString(text, ""), ")")
		text = regexp.MustCompile(`AT_FDCWD<[^>]*>`).ReplaceAllString(text, "AT_FDCWD")
		text = testfs.Any32.Replace(match[2]) + "(" + strings.ReplaceAll(text, "O_LARGEFILE|", "")
		got[section] += "\n" + lstat32.ReplaceAllString(strings.Replace(text, ", 84)", ")", 1), `newfstatat(AT_FDCWD, $1, AT_SYMLINK_NOFOLLOW)`)
	}
	for method, lines := range got {
		got[method] = strings.TrimPrefix(lines, "\n")
	}
	return got
}
