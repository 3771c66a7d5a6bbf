//go:build linux

package layerstore_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
)

func init() {
	// golden BASE: every method of Disk once, on one thread, between failing calls of
	// access(2) with telling paths.
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
		must(d.ReadOnly(base))
		must(0, d.TakeLock(lock, whole))
		must(d.TestLock(read, kernel.ByteRange{Offset: 9}))
		must(0, d.AwaitLock(lock, kernel.ByteRange{Offset: 8}))
		must(d.Links(lock))
		must(d.ReadToken(lock))
		must(0, d.WriteToken(lock, kernel.Token{16: 1}))
		spare := must(d.WriteSpare(base+"spare", []byte("new")))
		must(0, d.SyncSpare(spare))
		must(d.StatMetadata(base + "metadata"))
		must(d.ReadMetadata(base + "metadata"))
		must(0, d.Replace(base+"spare", base+"metadata"))
		must(0, d.Writable(base+"metadata"))
		must(0, d.SyncDirectory(base))
		must(0, d.SyncContent(base))
		must(0, d.Close(spare))
		unix.Access("/mark/end", 0)
	})
}

// golden are the system calls of every method, with what they say below the seam: what
// is opened is closed by exec and never a link, what is made is for its owner alone,
// nothing is shortened, and a lock is of one byte.
var golden = map[string]string{
	"AwaitLock":     `fcntl(<BASE/lock>, F_OFD_SETLKW, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=8, l_len=1})`,
	"Close":         `close(<BASE/metadata>)`,
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
	"ReadOnly":  `statfs("BASE/")`,
	"ReadToken": `pread64(<BASE/lock>, "", 17, 0)`,
	"Remove": `unlinkat(AT_FDCWD, "BASE/made", 0)
unlinkat(AT_FDCWD, "BASE/made", AT_REMOVEDIR)`,
	"Replace":      `renameat2(AT_FDCWD, "BASE/spare", AT_FDCWD, "BASE/metadata", RENAME_EXCHANGE)`,
	"StatMetadata": `statx(AT_FDCWD, "BASE/metadata", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW, STATX_MTIME|STATX_INO|STATX_SIZE)`,
	"SyncContent": `openat(AT_FDCWD, "BASE/", O_RDONLY|O_CLOEXEC|O_DIRECTORY)
syncfs(<BASE>)
close(<BASE>)`,
	"SyncDirectory": `openat(AT_FDCWD, "BASE/", O_RDONLY|O_CLOEXEC|O_DIRECTORY)
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
pwrite64(<BASE/spare>, "new            ", 15, 0)`,
	"WriteToken": `pwrite64(<BASE/lock>, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 17, 0)`,
}

// What the methods of Disk tell the kernel.
func TestArgumentsBelowTheSeam(t *testing.T) {
	base := scratch(t)
	for name, content := range map[string]string{"metadata": "metadata", "spare": "longer than new"} {
		if err := os.WriteFile(filepath.Join(base, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fds := regexp.MustCompile(`\b\d+<([^>]*)>`)
	rest := regexp.MustCompile(`, ?\{(st_mode|f_type|stx_mask).*|\) += .*|0x[0-9a-f]+ /\*[^*]*\*/`)
	got, section, thread := map[string]string{}, "", ""
	for _, match := range regexp.MustCompile(`(?m)^(\d+) +(\w+)\((.*)$`).FindAllStringSubmatch(testfs.Strace(t, proc.New("golden", base).Cmd, "-y"), -1) {
		if _, name, ok := strings.Cut(match[3], `"/mark/`); ok {
			thread, section = match[1], name[:strings.IndexByte(name, '"')]
			continue
		}
		if match[1] != thread || section == "" || slices.Contains(testfs.RuntimeCalls, match[2]) {
			continue
		}
		text := fds.ReplaceAllString(strings.ReplaceAll(match[3], base, "BASE"), "<$1>")
		text = rest.ReplaceAllString(text, ")")
		text = regexp.MustCompile(`AT_FDCWD<[^>]*>`).ReplaceAllString(text, "AT_FDCWD")
		got[section] += "\n" + testfs.Any32.Replace(match[2]) + "(" + strings.ReplaceAll(text, "O_LARGEFILE|", "")
	}
	delete(got, "end")
	for i := range reflect.TypeFor[kernel.Disk]().NumMethod() {
		assert.Contains(t, got, reflect.TypeFor[kernel.Disk]().Method(i).Name, "a method without a line")
	}
	for _, method := range slices.Sorted(maps.Keys(got)) {
		assert.Equal(t, golden[method], strings.TrimPrefix(got[method], "\n"), method)
	}
}
