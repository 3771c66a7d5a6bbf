package kernel_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// kinds are what may have the name that a method is given. Whatever a link leads
// to, or a mount hides, must stay as it is.
var kinds = map[string]func(t *testing.T, path, outside string){
	"file":             func(t *testing.T, path, _ string) { require.NoError(t, os.WriteFile(path, nil, 0o600)) },
	"directory":        func(t *testing.T, path, _ string) { require.NoError(t, os.Mkdir(path, 0o700)) },
	"link to a file":   func(t *testing.T, path, outside string) { require.NoError(t, os.Symlink(outside+"/file", path)) },
	"link to an empty": func(t *testing.T, path, outside string) { require.NoError(t, os.Symlink(outside+"/empty", path)) },
	"dangling link":    func(t *testing.T, path, outside string) { require.NoError(t, os.Symlink(outside+"/new", path)) },
	"fifo":             func(t *testing.T, path, _ string) { require.NoError(t, unix.Mkfifo(path, 0o600)) },
	"socket": func(t *testing.T, path, _ string) {
		require.NoError(t, unix.Mknod(path, unix.S_IFSOCK|0o600, 0))
	},
	"mounted directory": func(t *testing.T, path, outside string) {
		require.NoError(t, os.Mkdir(path, 0o700))
		bind(t, outside+"/empty", path)
	},
	"mounted file": func(t *testing.T, path, outside string) {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		bind(t, outside+"/file", path)
	},
	"nothing":      func(*testing.T, string, string) {},
	"below a link": func(t *testing.T, path, outside string) { require.NoError(t, os.Symlink(outside, path)) },
	"below a mount": func(t *testing.T, path, outside string) {
		require.NoError(t, os.Mkdir(path, 0o700))
		bind(t, outside, path)
	},
}

func bind(t *testing.T, from, to string) {
	require.NoError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
}

// answers are what each method says to each kind at each of its arguments that is a
// name or a path, in the order of sortedKinds.
var answers = map[string]string{
	"ChangeMode 1":      "ENOENT ENOTDIR ok ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR EXDEV EXDEV ELOOP EXDEV",
	"ClearFlags 1":      "ENOENT ok ok ELOOP ELOOP ELOOP ok ENXIO EXDEV EXDEV ELOOP EXDEV",
	"Commit 1":          "ENOENT ok ok ok ok ok ok ok EBUSY EBUSY",
	"Commit 2":          "ok EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
	"CommitPlainly 1":   "ENOENT ok ok ok ok ok ok ok EBUSY EBUSY",
	"CommitPlainly 2":   "ok ok EISDIR ok ok ok ok ok EISDIR EBUSY",
	"CreateLock 1":      "ok EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
	"Detach 1":          "ENOENT EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL ok ok",
	"Hoist 1":           "ENOENT ok ok ok ok ok ok ok EBUSY EBUSY",
	"Hoist 3":           "ok EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
	"LinkEntry 1":       "ENOENT ok EPERM ok ok ok ok ok EXDEV EXDEV",
	"LinkEntry 2":       "ok EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
	"LinkLock 2":        "ok EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
	"MakeData 1":        "ok EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
	"OpenDirectory 1":   "ENOENT ENOTDIR ok ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR EXDEV EXDEV ELOOP EXDEV",
	"OpenLock 1":        "ENOENT ok EISDIR ELOOP ELOOP ELOOP ok ENXIO EXDEV EXDEV ELOOP EXDEV",
	"OpenParent 0":      "ENOENT ENOTDIR ok ENOTDIR ok ENOENT ENOTDIR ENOTDIR ok ENOTDIR",
	"OpenRoot 0":        "ENOENT ENOTDIR ok ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ok ENOTDIR",
	"OpenToInspect 1":   "ENOENT ok ok ELOOP ELOOP ELOOP ok ENXIO EXDEV EXDEV ELOOP EXDEV",
	"Owns 1":            "ENOENT ENOTDIR ok ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR EXDEV EXDEV ELOOP EXDEV",
	"RemoveData 1":      "ENOENT ENOTDIR ok ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR EBUSY ENOTDIR",
	"RemoveDirectory 1": "ENOENT ENOTDIR ok ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR EBUSY ENOTDIR",
	"RemoveEntry 1":     "ENOENT ok EISDIR ok ok ok ok ok EISDIR EBUSY",
	"RemoveLock 1":      "ENOENT ok EISDIR ok ok ok ok ok EISDIR EBUSY",
	"SetFlags 1":        "ENOENT ok ok ELOOP ELOOP ELOOP ok ENXIO EXDEV EXDEV ELOOP EXDEV",
	"StageDeletion 0":   "ENOENT ok ok ok ok ok ok ok EBUSY EBUSY",
	"StageDeletion 2":   "ok EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
	"StatName 1":        "ENOENT - d L L L p S d -",
}

// Every method with every name that it takes, and every kind of thing that has the
// name: it answers as the table says, and touches nothing behind the name.
// What it opens is closed by exec, what it makes is its owner's alone.
func TestEveryNameOfEveryKind(t *testing.T) {
	for name, lack := range lacks {
		t.Run(name, func(t *testing.T) {
			if !testfs.OwnMounts(t) {
				return
			}
			require.NoError(t, unix.Mount("tmpfs", os.TempDir(), "tmpfs", 0, "")) // until this process ends
			require.NoError(t, lack.Apply())
			unix.Umask(0)
			got := map[string]string{}
			methods := reflect.TypeFor[kernel.Kernel]()
			for i := range methods.NumMethod() {
				method := methods.Method(i)
				if method.Type.In(method.Type.NumIn()-1).Kind() == reflect.Int && method.Type.Out(0).Kind() == reflect.Int {
					require.Equal(t, "ok", answer(t, method, -1, "")) // it opens without a name
				}
				for argument := range method.Type.NumIn() {
					if method.Type.In(argument).Kind() == reflect.String {
						var line []string
						for _, kind := range sortedKinds {
							line = append(line, answer(t, method, argument, kind))
						}
						if slices.Contains(beneath, method.Name) {
							line = append(line, answer(t, method, argument, "below a link"), answer(t, method, argument, "below a mount"))
						}
						got[fmt.Sprintf("%s %d", method.Name, argument)] = strings.Join(line, " ")
					}
				}
			}
			assert.Equal(t, answers, got)
		})
	}
}

var sortedKinds = []string{"nothing", "file", "directory", "link to a file", "link to an empty", "dangling link", "fifo", "socket", "mounted directory", "mounted file"}

// beneath are the methods whose lookups are confined in every element.
var beneath = []string{"ChangeMode", "ClearFlags", "OpenDirectory", "OpenLock", "OpenToInspect", "Owns", "SetFlags"}

// lacks are the ways that the kernel goes; the answers are the same.
var lacks = map[string]testfs.Lack{
	"nothing": {},
	"Linux 5.5": {Calls: map[string]syscall.Errno{
		"openat2": unix.ENOSYS, "statx": unix.ENOSYS, "fchmodat2": unix.ENOSYS, "linkat 4&1024": unix.ENOENT,
	}},
	"sandbox":       {Calls: map[string]syscall.Errno{"openat2": unix.EPERM, "statx": unix.EPERM, "name_to_handle_at": unix.EPERM, "fchmodat2": unix.EPERM, "fchmodat": unix.EPERM}},
	"without /proc": {Proc: true, Calls: map[string]syscall.Errno{"fchmodat2": unix.ENOSYS}},
}

// answer calls the method with the kind of thing at the argument's name.
func answer(t *testing.T, method reflect.Method, argument int, kind string) string {
	base, err := os.MkdirTemp("", "")
	require.NoError(t, err)
	root, outside := base+"/root", base+"/outside"
	require.NoError(t, os.Mkdir(root, 0o700))
	require.NoError(t, os.MkdirAll(outside+"/empty", 0o755))
	require.NoError(t, os.WriteFile(outside+"/file", []byte("outside"), 0o644))
	before := testfs.Snapshot(t, outside)
	k := kernel.Linux()
	dir, err := unix.Open(root, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(dir)
	file, err := unix.Open(root, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	require.NoError(t, err)
	defer unix.Close(file)

	// The other name, if the method takes two, is a file or free.
	names := 0
	in := []reflect.Value{}
	for i := range method.Type.NumIn() {
		switch in0 := method.Type.In(i); {
		case in0.Kind() == reflect.String:
			name := fmt.Sprint("name", names)
			if i == argument {
				kinds[kind](t, root+"/"+name, outside)
			} else if names == 0 {
				require.NoError(t, os.WriteFile(root+"/"+name, nil, 0o600))
			}
			if i == argument && strings.HasPrefix(kind, "below") {
				name += "/empty"
			}
			if paths[fmt.Sprintf("%s %d", method.Name, i)] {
				name = root + "/" + name
			}
			names++
			in = append(in, reflect.ValueOf(name))
		case in0.Kind() == reflect.Int && method.Name == "LinkLock" && i == 0:
			in = append(in, reflect.ValueOf(file))
		case in0.Kind() == reflect.Int && method.Name == "SetFlags" && i == 2:
			in = append(in, reflect.ValueOf(0))
		case in0.Kind() == reflect.Int:
			in = append(in, reflect.ValueOf(dir))
		default:
			in = append(in, reflect.ValueOf(os.FileMode(0o700)))
		}
	}
	done := make(chan []reflect.Value)
	go func() { done <- reflect.ValueOf(k).MethodByName(method.Name).Call(in) }()
	var out []reflect.Value
	select {
	case out = <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s waits for ever at a %s", method.Name, kind)
	}
	assert.Equal(t, before, testfs.Snapshot(t, outside), "%s %d at a %s touched what is behind it", method.Name, argument, kind)
	assert.NoFileExists(t, outside+"/new", "%s followed a dangling link", method.Name)
	if err, _ := out[len(out)-1].Interface().(error); err != nil {
		if err == unix.ENOTTY {
			return "ok" // tmpfs has flags since Linux 6.6 only
		}
		if err == unix.ENOTDIR && kind == "below a link" {
			return "ELOOP" // level by level it is no directory
		}
		return unix.ErrnoName(err.(unix.Errno))
	}
	if method.Type.NumOut() > 1 && method.Type.Out(0).Kind() == reflect.Int && method.Name != "ClearFlags" {
		fd := int(out[0].Int())
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(t, err)
		assert.Equal(t, unix.FD_CLOEXEC, flags&unix.FD_CLOEXEC, "%s is kept by exec", method.Name)
		if a, err := k.Stat(fd); err == nil && (a.Links == 0 || made[method.Name]) {
			assert.Zero(t, a.Permissions&0o077, "%s makes what others may use", method.Name)
		}
		unix.Close(fd)
	}
	if a, is := out[0].Interface().(kernel.Attributes); is {
		if !a.MountUnknown {
			assert.Equal(t, strings.HasPrefix(kind, "mounted"), a.MountRoot, kind)
		}
		return a.Mode.String()[:1]
	}
	// What was made, or what has the name now.
	path := filepath.Join(root, fmt.Sprint("name", names-1))
	if info, err := os.Lstat(path); err == nil && made[method.Name] {
		assert.Zero(t, info.Mode().Perm()&0o077, "%s makes what others may use", method.Name)
	}
	return "ok"
}

// paths are the arguments that are paths, not names.
var paths = map[string]bool{
	"OpenRoot 0": true, "OpenParent 0": true, "StageDeletion 0": true, "Commit 2": true, "CommitPlainly 2": true, "LinkEntry 2": true,
}

var made = map[string]bool{"CreateLock": true, "MakeData": true, "LinkLock": true}

// Which file systems count as ordered, by their numbers in statfs(2), and no other.
func TestFileSystemsThatOrderRenames(t *testing.T) {
	ordered := []uint32{0xef53, 0x58465342, 0x01021994, 0x858458f6} // ext4, xfs, tmpfs, ramfs
	for _, magic := range ordered {
		assert.True(t, kernel.OrdersRenames(magic), "%#x", magic)
	}
	for _, magic := range []uint32{
		0, 1, 0x9123683e, 0x73727279, 0xca451a4e, 0xf2f52010, 0x2fc12fc1, 0x65735546, 0x6969, 0xff534d42, 0xfe534d42, 0x517b, // btrfs, bcachefs, f2fs, zfs, fuse, nfs, smb
		0x00c36400, 0x01021997, 0x794c7630, 0xf15f, 0x61756673, 0x52654973, 0x3153464a, 0x3434, 0x7461636f, 0x01161970, // ceph, 9p, overlay, ecryptfs, aufs, reiserfs, jfs, nilfs, ocfs2, gfs2
		0x4d44, 0x2011bab0, 0x5346544e, 0x7366746e, 0x24051905, 0x72b6, 0x5346414f, 0x73757245, 0x0bd00bd0, 0x47504653, // fat, exfat, ntfs, ubifs, jffs2, afs, coda, lustre, gpfs
		0x9660, 0x15013346, 0x73717368, 0xe0f5e1e2, 0x28cd3d45, 0xf995e849, 0x482b, 0x4244, 0x137f, 0x2468, 0x4d5a, 0xadf5, 0xadff, // iso9660, udf, squashfs, erofs, cramfs, hpfs, hfs, minix, adfs, affs
		0x00c0ffee, 0x786f4256, 0xbacbacbc, 0x958458f6, 0x5a4f4653, 0x6c6f6f70, 0x62656572, 0x9fa0, 0x27e0eb, 0x63677270, // hostfs, vboxsf, vmhgfs, hugetlbfs, zonefs, binderfs, sysfs, proc, cgroup
	} {
		assert.False(t, kernel.OrdersRenames(magic), "%#x", magic)
	}
	for number := range uint32(1 << 16) {
		if kernel.OrdersRenames(number) {
			assert.Contains(t, ordered, number)
		}
	}
	for _, magic := range ordered {
		for bit := range 32 {
			assert.False(t, kernel.OrdersRenames(magic^1<<bit), "all but one bit of %#x", magic)
		}
	}
}

// What statx says, bit by bit: what a mask does not have is not known, and that is not
// "no".
func TestDescribed(t *testing.T) {
	const (
		root, immutable, appends = unix.STATX_ATTR_MOUNT_ROOT, unix.STATX_ATTR_IMMUTABLE, unix.STATX_ATTR_APPEND
		other                    = unix.STATX_ATTR_ENCRYPTED
	)
	for _, c := range []struct {
		statx unix.Statx_t
		want  kernel.Attributes
	}{
		{unix.Statx_t{}, kernel.Attributes{MountUnknown: true, FlagsUnknown: true}},
		{unix.Statx_t{Attributes_mask: other}, kernel.Attributes{MountUnknown: true, FlagsUnknown: true}},
		{unix.Statx_t{Attributes_mask: root}, kernel.Attributes{FlagsUnknown: true}},
		{unix.Statx_t{Attributes_mask: immutable}, kernel.Attributes{MountUnknown: true, FlagsUnknown: true}},
		{unix.Statx_t{Attributes_mask: appends}, kernel.Attributes{MountUnknown: true, FlagsUnknown: true}},
		{unix.Statx_t{Attributes_mask: immutable | appends}, kernel.Attributes{MountUnknown: true}},
		{unix.Statx_t{Attributes_mask: root | immutable | appends, Attributes: root}, kernel.Attributes{MountRoot: true}},
		{unix.Statx_t{Attributes_mask: root | immutable | appends, Attributes: immutable}, kernel.Attributes{Immutable: true}},
		{unix.Statx_t{Attributes_mask: root | immutable | appends, Attributes: appends}, kernel.Attributes{Immutable: true}},
		{unix.Statx_t{Attributes_mask: root | immutable | appends, Attributes: other}, kernel.Attributes{}},
		{unix.Statx_t{Attributes_mask: ^uint64(0), Mnt_id: 7}, kernel.Attributes{}},
		{unix.Statx_t{Attributes_mask: ^uint64(0), Mask: unix.STATX_MNT_ID, Mnt_id: 7}, kernel.Attributes{Mount: 7}},
		{unix.Statx_t{Attributes_mask: ^uint64(0), Dev_major: 1, Dev_minor: 2, Ino: 3, Nlink: 4, Uid: 5, Blocks: 6}, kernel.Attributes{
			Device: unix.Mkdev(1, 2), Inode: 3, Links: 4, UID: 5, Bytes: 6 * 512}},
		{unix.Statx_t{Attributes_mask: ^uint64(0), Mode: unix.S_IFDIR | unix.S_ISVTX | 0o751}, kernel.Attributes{Mode: os.ModeDir, Permissions: os.ModeSticky | 0o751}},
		{unix.Statx_t{Attributes_mask: ^uint64(0), Mtime: unix.StatxTimestamp{Sec: 2, Nsec: 3}, Ctime: unix.StatxTimestamp{Sec: 1}}, kernel.Attributes{Changed: time.Unix(2, 3)}},
		{unix.Statx_t{Attributes_mask: ^uint64(0), Mtime: unix.StatxTimestamp{Sec: 2}, Ctime: unix.StatxTimestamp{Sec: 2, Nsec: 1}}, kernel.Attributes{Changed: time.Unix(2, 1)}},
	} {
		if c.want.Changed.IsZero() {
			c.want.Changed = time.Unix(0, 0)
		}
		if c.want.Mode == 0 && c.statx.Mode == 0 {
			c.want.Mode = os.ModeIrregular
		}
		assert.Equal(t, c.want, kernel.Described(&c.statx))
	}
}
