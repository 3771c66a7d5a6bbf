package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
)

const (
	somebody = 2345 // an ordinary user
	other    = 3456 // another
)

const (
	alreadyWrites = "a store has to write its metadata"
	noDirectory   = "a layer is a directory"
)

// fullPlaces are those in which something has run out.
func fullPlaces() []hard {
	return []hard{
		{name: "ext4 without a free block", world: "ext4", spoil: fill},
		{name: "ext4 without a free inode", world: "ext4 of few inodes", spoil: fillInodes},
		{name: "tmpfs without a free block", world: "small tmpfs", spoil: fill},
		{name: "tmpfs without a free inode", world: "tmpfs of few inodes", spoil: fillInodes},
		{name: "xfs without a free block", world: "xfs", spoil: fill},
		{name: "btrfs, data and metadata full", world: "full btrfs", spoil: fill},
		{name: "btrfs, quota used up", world: "btrfs with a quota", spoil: useUpQuota,
			differs: map[string]string{columnStore: "btrfs refuses even to write over what is there, and a deletion has to be recorded"}},
		{name: "no file may grow (ulimit -f 0)", conditions: conditions{NoBytes: true}, noStore: alreadyWrites},
		{name: "16 descriptors, 60 levels", conditions: conditions{NoFiles: 16}, build: func(t *testing.T, victim string) {
			makeNames(t, victim, strings.Repeat("d/", 60)+"file")
		}},
	}
}

// refusingPlaces are those in which a call is refused, or unknown.
func refusingPlaces() []hard {
	type calls = map[string]syscall.Errno
	refused := func(calls calls) conditions { return conditions{Lack: testfs.Lack{Calls: calls}} }
	return []hard{
		{name: "openat2: ENOSYS (Linux before 5.6)", conditions: refused(calls{"openat2": unix.ENOSYS})},
		{name: "openat2: EPERM (a sandbox)", conditions: refused(calls{"openat2": unix.EPERM})},
		{name: "openat2 and name_to_handle_at: EPERM", conditions: refused(calls{"openat2": unix.EPERM, "name_to_handle_at": unix.EPERM})},
		{name: "openat2, fchmodat2, listmount, statmount: ENOSYS", conditions: refused(calls{"openat2": unix.ENOSYS, "fchmodat2": unix.ENOSYS, "listmount": unix.ENOSYS, "statmount": unix.ENOSYS})},
		{name: "renameat2: ENOSYS", conditions: refused(calls{"renameat2": unix.ENOSYS})},
		{name: "renameat2: EPERM", conditions: refused(calls{"renameat2": unix.EPERM})},
		{name: "renameat2: ENOKEY (an encrypted directory without its key)", conditions: refused(calls{"renameat2": unix.ENOKEY})},
		{name: "RENAME_NOREPLACE: EINVAL", conditions: refused(calls{testfs.NoReplace: unix.EINVAL})},
		{name: "renameat2 with any flag: EINVAL (bindfs)", world: "bindfs"},
		{name: "locks: ENOLCK", conditions: refused(calls{testfs.TakeLock: unix.ENOLCK}), noStore: "a store has to lock"},
		{name: "locks: ENOLCK, O_TMPFILE: EOPNOTSUPP", conditions: refused(calls{testfs.TakeLock: unix.ENOLCK, testfs.Unnamed: unix.EOPNOTSUPP}), noStore: "a store has to lock"},
		{name: "locks of descriptors: EINVAL (before Linux 3.15, gVisor)", conditions: refused(calls{testfs.TakeLock: unix.EINVAL}), noStore: "a store has to lock"},
		{name: "fstatfs: ENOSYS", conditions: refused(calls{fmt.Sprint(unix.SYS_FSTATFS): unix.ENOSYS})},
		{name: "pwrite64: EIO", conditions: refused(calls{"pwrite64": unix.EIO}), noStore: alreadyWrites},
		{name: "getrandom: ENOSYS", conditions: refused(calls{fmt.Sprint(unix.SYS_GETRANDOM): unix.ENOSYS})},
		{name: "linkat: EACCES", conditions: refused(calls{"linkat": unix.EACCES})},
		{name: "O_TMPFILE: EOPNOTSUPP", conditions: refused(calls{testfs.Unnamed: unix.EOPNOTSUPP})},
		{name: "linkat: EPERM", conditions: refused(calls{"linkat": unix.EPERM})},
		{name: "linkat: EXDEV", conditions: refused(calls{"linkat": unix.EXDEV})},
		{name: "statx: ENOSYS", conditions: refused(calls{"statx": unix.ENOSYS})},
		{name: "statx: EPERM", conditions: refused(calls{"statx": unix.EPERM})},
		{name: "fsync: EIO, where renames are not ordered", world: "overlay", conditions: refused(calls{"fsync": unix.EIO}), noStore: "a save has to be durable"},
		{name: "mkdirat: EROFS", conditions: refused(calls{"mkdirat": unix.EROFS})},
		{name: "nothing can be made or moved (Landlock)", conditions: conditions{NoMaking: true}},
		{name: "FUSE without O_TMPFILE", world: "fuse"},
		{name: "xfs, a project of its own", world: "xfs", after: func(t *testing.T, s subject) {
			command(t, "chattr", "-R", "-p", "5", s.home)
			command(t, "find", s.home, "-type", "d", "-exec", "chattr", "+P", "{}", "+")
			command(t, "chattr", "-R", "-p", "7", s.victim())
		}},
		{name: "lower layer of an overlay", spoil: overlaid},
		{name: "upper layer of an overlay", world: "overlay"},
		{name: "bind mount of its own directory", spoil: func(t *testing.T, s subject) func() {
			testfs.Bind(t, s.parent, s.parent)
			return nil
		}},
		{name: "ramfs", world: "ramfs"},
		{name: "hugetlbfs", world: "hugetlbfs", noStore: "no file can be written", build: func(t *testing.T, victim string) {
			makeNames(t, victim, "a/b/", "c/")
			require.NoError(t, unix.Mknod(victim+"/a/file", unix.S_IFREG|0o600, 0))
		}},
		{name: "mqueue: files and no directory", noStore: noDirectory, spoil: func(t *testing.T, s subject) func() {
			testfs.MountAt(t, "none", s.home, "mqueue", "")
			require.NoError(t, unix.Mknod(s.victim(), unix.S_IFREG|0o600, 0))
			return nil
		}},
		{name: "bpf: directories and no file", world: "bpf", noStore: "no file can be made", build: func(t *testing.T, victim string) { makeNames(t, victim, "a/b/", "c/") }},
	}
}

// peoplePlaces are those of people, and of things of other people in the way.
func peoplePlaces() []hard {
	user := conditions{Lack: testfs.Lack{User: somebody}}
	inTheWay := func(make func(path string) error) func(t *testing.T, s subject) {
		return func(t *testing.T, s subject) {
			require.NoError(t, os.Chown(s.parent, 0, 0))
			require.NoError(t, os.Chmod(s.parent, 0o777|os.ModeSticky))
			for _, name := range []string{oldRoot, fmt.Sprintf("%s-%d", oldRoot, somebody)} {
				require.NoError(t, make(s.parent+"/"+name))
			}
		}
	}
	const shared = "a store has a directory of its own"
	return []hard{
		{name: "sticky directory of root", conditions: user, after: inTheWay(func(string) error { return nil }), noStore: shared},
		{name: "the root's name: a directory of somebody else", conditions: user, noStore: shared, after: inTheWay(func(path string) error {
			return errors.Join(os.Mkdir(path, 0o777), os.Chown(path, other, other))
		})},
		{name: "the root's name: a file of root", conditions: user, noStore: shared, after: inTheWay(func(path string) error { return os.WriteFile(path, nil, 0o644) })},
		{name: "the root's name: a FIFO", conditions: user, noStore: shared, after: inTheWay(func(path string) error { return unix.Mkfifo(path, 0o666) })},
		{name: "the root's name: a link to nowhere", conditions: user, noStore: shared, after: inTheWay(func(path string) error { return os.Symlink("/nowhere", path) })},
		{name: "the root is immutable", noStore: shared, spoil: func(t *testing.T, s subject) func() {
			root := s.parent + "/" + ownRoot()
			require.NoError(t, os.Mkdir(root, 0o700))
			testfs.SetFlags(t, root, testfs.Immutable)
			return nil
		}},
		{name: "a mount on the root's name", noStore: shared, spoil: func(t *testing.T, s subject) func() {
			root := s.parent + "/" + ownRoot()
			require.NoError(t, os.Mkdir(root, 0o700))
			testfs.MountAt(t, "none", root, "tmpfs", "")
			return nil
		}},
		{name: "what an earlier rm left cannot be removed", noStore: shared, after: func(t *testing.T, s subject) {
			require.NoError(t, os.MkdirAll(s.parent+"/"+ownRoot()+"/lock-"+strings.Repeat("f", 32), 0o700))
		}},
		{name: "ordinary user: directories of mode 0555 within", conditions: user, better: true, after: modes(0o555, "sub0", "sub1")},
		{name: "ordinary user: the victim has mode 0555", conditions: user, better: true, after: modes(0o555, ".")},
		{name: "ordinary user: directories of mode 0300 and 000", conditions: user, better: true, after: func(t *testing.T, s subject) {
			modes(0o300, "sub0", ".")(t, s)
			modes(0, "sub1")(t, s)
		}},
		{name: "the same without /proc", conditions: conditions{Lack: testfs.Lack{User: somebody, Proc: true}}, better: true, after: func(t *testing.T, s subject) {
			modes(0o300, "sub0", ".")(t, s)
			modes(0, "sub1")(t, s)
		}},
		{name: "root without /proc", conditions: conditions{Lack: testfs.Lack{Proc: true}}},
		{name: "root without /proc, listmount, statmount", conditions: conditions{Lack: testfs.Lack{Proc: true, Calls: map[string]syscall.Errno{"listmount": unix.ENOSYS, "statmount": unix.ENOSYS}}},
			differs: map[string]string{columnStore: "without a table of mounts nobody can tell what is in use"}},
		{name: "in a PID namespace that /proc is not of", conditions: conditions{NewPIDs: true}},
		{name: "in a chroot", conditions: conditions{Chroot: true}},
		{name: "ordinary user, umask 0777", conditions: conditions{Lack: testfs.Lack{User: somebody}, Umask: 0o777}},
		{name: "a directory of somebody else within, that all may write", conditions: user, after: func(t *testing.T, s subject) {
			require.NoError(t, os.Chown(s.victim()+"/sub0", other, other))
			modes(0o777, "sub0")(t, s)
		}},
		{name: "an empty directory of somebody else within, of mode 000", conditions: user, after: func(t *testing.T, s subject) {
			makeNames(t, s.victim(), "sub0/empty/")
			require.NoError(t, os.Chown(s.victim()+"/sub0/empty", other, other))
			modes(0, "sub0/empty")(t, s)
		}},
		{name: "mount points of another mount namespace", spoil: func(t *testing.T, s subject) func() {
			cmd := exec.Command("sh", "-c", `mount -t tmpfs none "$1" && mount -t tmpfs none "$1/sub0" 2>/dev/null; mkdir "$1/sub0"; echo; exec sleep 1000`, "sh", s.victim())
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
			ready, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			_, err = ready.Read(make([]byte, 1))
			require.NoError(t, err)
			return func() {
				cmd.Process.Kill()
				cmd.Wait()
			}
		}},
		{name: "an empty directory of somebody else", conditions: user, build: func(t *testing.T, victim string) { require.NoError(t, os.Mkdir(victim, 0o755)) },
			after: func(t *testing.T, s subject) { require.NoError(t, os.Chown(s.victim(), other, other)) }},
		{name: "the same, of mode 000", conditions: user, build: func(t *testing.T, victim string) { require.NoError(t, os.Mkdir(victim, 0o755)) },
			after: func(t *testing.T, s subject) {
				require.NoError(t, os.Chown(s.victim(), other, other))
				require.NoError(t, os.Chmod(s.victim(), 0))
			}},
		{name: "a file of root, of mode 000, in a directory of the user", conditions: user, noStore: noDirectory,
			build: func(t *testing.T, victim string) { require.NoError(t, os.WriteFile(victim, nil, 0)) },
			after: func(t *testing.T, s subject) { require.NoError(t, os.Chown(s.victim(), 0, 0)) }},
		{name: "the parent cannot be read (mode 0300)", conditions: user, after: func(t *testing.T, s subject) { require.NoError(t, os.Chmod(s.parent, 0o300)) }},
		{name: "root of a user namespace: files of its users", conditions: conditions{Map: 100000}, after: func(t *testing.T, s subject) {
			require.NoError(t, os.Chown(s.victim()+"/sub0", 101234, 101234))
			require.NoError(t, os.Chmod(s.victim()+"/sub0", 0o700))
		}},
		{name: "root without capabilities", conditions: conditions{NoCaps: true}, better: true, after: modes(0o555, "sub0", ".")},
		{name: "no standard input, output and error", conditions: conditions{Closed: true}},
		{name: "an empty environment", conditions: conditions{NoEnv: true}},
		{name: "an immutable file within, --clear-flags", better: true, flags: []string{"--clear-flags"}, after: flagged("sub0/file")},
		{name: "an immutable victim, --clear-flags", better: true, flags: []string{"--clear-flags"}, after: flagged(".")},
		{name: "an immutable file within", after: flagged("sub0/file")},
		{name: "a mount within", spoil: func(t *testing.T, s subject) func() {
			testfs.MountAt(t, "none", s.victim()+"/sub0", "tmpfs", "")
			testfs.DetachBelow(t, s.home) // it may have been moved
			return nil
		}},
		{name: "a dead FUSE mount within", spoil: func(t *testing.T, s subject) func() {
			makeNames(t, s.victim(), "fuse/")
			testfs.FuseAt(t, s.victim()+"/fuse")()
			testfs.DetachBelow(t, s.home)
			return nil
		}},
	}
}

// shapePlaces are trees of hard shapes.
func shapePlaces() []hard {
	deep := strings.Repeat("d", 200) + "/"
	return []hard{
		{name: "deeper than a path can say", build: func(t *testing.T, victim string) {
			require.NoError(t, os.Mkdir(victim, 0o755))
			makeDeep(t, victim, deep, 30)
		}},
		{name: "the working directory is deeper than a path can say", noStore: "a store has an absolute path",
			build: func(t *testing.T, victim string) {
				require.NoError(t, os.Mkdir(victim, 0o755))
				makeDeep(t, victim, deep, 30)
			},
			in:    func(s subject) string { return s.victim() + "/" + strings.Repeat(deep, 30) },
			named: func(subject) string { return "end" },
			is:    func(t *testing.T, s subject) bool { return len(namesDeep(t, s.victim(), deep, 30)) != 0 }},
		{name: "the working directory is in the victim", in: func(s subject) string { return s.victim() + "/sub0" }},
		{name: "names that are not UTF-8, with newlines, of 255 bytes", victim: "\xff\n" + strings.Repeat("x", 253), build: func(t *testing.T, victim string) {
			makeNames(t, victim, "\xff\xfe/\n/a", strings.Repeat("\xc3", 255)+"/"+strings.Repeat("y", 255), "-rf/--/ ", "lock-1", "temp-dir-1/x")
		}},
		{name: "10,000 names", build: func(t *testing.T, victim string) {
			require.NoError(t, os.Mkdir(victim, 0o755))
			for i := range 10_000 {
				require.NoError(t, os.Link(fileIn(t, victim), fmt.Sprintf("%s/%d", victim, i)))
			}
		}},
		{name: "every type, whiteouts, hard links", build: everyType},
		{name: "files that are open, locked, mapped and run", build: func(t *testing.T, victim string) { tree(t, victim) }, spoil: inUse},
		{name: "names of our own, with instances within", victim: "temp-dir-" + strings.Repeat("a", 32), build: func(t *testing.T, victim string) {
			makeNames(t, victim, ".afterlock/lock-1", "lock-1/", "temp-dir-1/x")
			stale(t, victim+"/"+ownRoot())
			live(t, victim+"/live")
		}},
		{name: "a directory named lock-1, on a full disk", world: "ext4", victim: "lock-1", spoil: fill},
		{name: "a link to a directory", noStore: noDirectory, build: func(t *testing.T, victim string) {
			tree(t, filepath.Dir(victim)+"/target")
			require.NoError(t, os.Symlink("target", victim))
		}},
		{name: "a link to itself", noStore: noDirectory, build: func(t *testing.T, victim string) { require.NoError(t, os.Symlink("victim", victim)) }},
		{name: "behind a link, with a slash at the end", noStore: "a store has a path of its own", after: func(t *testing.T, s subject) {
			require.NoError(t, os.Symlink(".", s.parent+"/link"))
		}, named: func(s subject) string { return s.parent + "/link/../" + filepath.Base(s.parent) + "/link//victim//" }},
		{name: "btrfs: subvolumes within", world: "btrfs", build: func(t *testing.T, victim string) {
			tree(t, victim)
			command(t, "btrfs", "-q", "subvolume", "create", victim+"/sub0/volume")
			tree(t, victim+"/sub0/volume/tree")
		}},
		{name: "btrfs: the victim is a subvolume", world: "btrfs", build: func(t *testing.T, victim string) {
			command(t, "btrfs", "-q", "subvolume", "create", victim)
			tree(t, victim+"/tree")
		}},
		{name: "btrfs: a read-only subvolume within", world: "btrfs", build: func(t *testing.T, victim string) {
			tree(t, victim)
			command(t, "btrfs", "-q", "subvolume", "create", victim+"/sub0/volume")
			tree(t, victim+"/sub0/volume/tree")
			command(t, "btrfs", "property", "set", "-f", victim+"/sub0/volume", "ro", "true")
		}},
	}
}

func command(t *testing.T, name string, arguments ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("skipped, because %s is not installed", name)
	}
	output, err := exec.Command(name, arguments...).CombinedOutput()
	require.NoError(t, err, string(output))
}

// modes sets the permissions of names below the victim.
func modes(mode os.FileMode, names ...string) func(t *testing.T, s subject) {
	return func(t *testing.T, s subject) {
		for _, name := range names {
			require.NoError(t, os.Chmod(filepath.Join(s.victim(), name), mode))
		}
	}
}

func flagged(name string) func(t *testing.T, s subject) {
	return func(t *testing.T, s subject) { testfs.SetFlags(t, filepath.Join(s.victim(), name), testfs.Immutable) }
}

// fileIn makes the file "file" in dir, if it is not there.
func fileIn(t *testing.T, dir string) string {
	path := dir + "/file"
	if !exists(path) {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	return path
}

// makeDeep makes n directories in each other, and one named "end" in the last.
func makeDeep(t *testing.T, dir, name string, n int) {
	t.Helper()
	fd := openDeep(t, dir, name, n, true)
	defer unix.Close(fd)
	require.NoError(t, unix.Mkdirat(fd, "end", 0o755))
	require.NoError(t, unix.Mkdirat(fd, "end/sub", 0o755))
}

func openDeep(t *testing.T, dir, name string, n int, make bool) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	for range n {
		if make {
			require.NoError(t, unix.Mkdirat(fd, strings.TrimSuffix(name, "/"), 0o755))
		}
		next, err := unix.Openat(fd, strings.TrimSuffix(name, "/"), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		unix.Close(fd)
		fd = next
	}
	return fd
}

// namesDeep lists the deepest directory.
func namesDeep(t *testing.T, dir, name string, n int) []string {
	t.Helper()
	f := os.NewFile(uintptr(openDeep(t, dir, name, n, false)), "deep")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	require.NoError(t, err)
	return names
}

func everyType(t *testing.T, victim string) {
	tree(t, victim)
	require.NoError(t, unix.Mkfifo(victim+"/fifo", 0o600))
	require.NoError(t, unix.Mknod(victim+"/whiteout", unix.S_IFCHR, 0))
	require.NoError(t, unix.Mknod(victim+"/block", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 200))))
	require.NoError(t, unix.Mknod(victim+"/socket", unix.S_IFSOCK|0o600, 0))
	require.NoError(t, os.Link(victim+"/sub0/file", victim+"/sub1/same"))
	require.NoError(t, os.Symlink("/", victim+"/root"))
	require.NoError(t, os.Symlink(strings.Repeat("x", 4000), victim+"/long"))
	require.NoError(t, os.Truncate(victim+"/sub0/file", 1<<40))
	require.NoError(t, os.Chmod(victim+"/sub1", 0o777|os.ModeSticky|os.ModeSetgid))
	_ = unix.Lsetxattr(victim+"/sub1", "trusted.overlay.opaque", []byte("y"), 0)
}

// inUse opens, locks, maps and runs files in the victim, and listens in it.
func inUse(t *testing.T, s subject) func() {
	f, err := os.OpenFile(s.victim()+"/sub0/file", os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	mapped, err := unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	listening, err := net.Listen("unix", relative(t, s.victim()+"/sub1/socket"))
	require.NoError(t, err)
	program, err := os.ReadFile("/bin/sleep")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.victim()+"/sleep", program, 0o755))
	cmd := exec.Command(s.victim()+"/sleep", "1000")
	cmd.Dir = s.victim() + "/sub2"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
		listening.(*net.UnixListener).SetUnlinkOnClose(false)
		listening.Close()
		unix.Munmap(mapped)
		f.Close()
	}
}

// relative is the path as seen from the working directory, if that is shorter:
// the address of a socket has 108 bytes.
func relative(t *testing.T, path string) string {
	wd, err := os.Getwd()
	require.NoError(t, err)
	if short, err := filepath.Rel(wd, path); err == nil && len(short) < len(path) {
		return short
	}
	return path
}

// fill fills the file system of the subject until no directory can be made.
func fill(t *testing.T, s subject) func() {
	t.Helper()
	var filesystem unix.Statfs_t
	require.NoError(t, unix.Statfs(s.parent, &filesystem))
	dir := filepath.Join(filepath.Dir(filepath.Dir(s.home)), "fill")
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOSPC) {
		require.NoError(t, err)
	}
	n := len(namesIn(t, dir))
	file := func() (*os.File, error) {
		n++
		return os.OpenFile(fmt.Sprintf("%s/%d", dir, n), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	}
	if f, err := file(); err == nil {
		// Space that a file takes without being written.
		end := int64(0)
		for size := int64(1 << 26); size >= 1024; {
			if err := unix.Fallocate(int(f.Fd()), 0, end, size); err != nil {
				size /= 16
				continue
			}
			end += size
		}
		// And what the file system lets only writes have.
		block := make([]byte, 1024)
		for {
			if _, err := f.WriteAt(block, end); err != nil {
				break
			}
			end += int64(len(block))
		}
		_ = f.Sync()
		f.Close()
	}
	// Metadata.
	failures := 0
	for i := 0; failures < 3 && i < 200_000; i++ {
		n++
		if err := unix.Mknod(fmt.Sprintf("%s/%d-%s", dir, n, strings.Repeat("n", 190)), unix.S_IFREG, 0); err != nil {
			failures++
		} else if filesystem.Type == unix.TMPFS_MAGIC {
			break // its names take no space
		}
	}
	if uint32(filesystem.Type) == unix.BTRFS_SUPER_MAGIC {
		return nil // that would take long, and nobody else uses it
	}
	return func() { os.RemoveAll(dir) }
}

// fillInodes makes files until no more can be made.
func fillInodes(t *testing.T, s subject) func() {
	t.Helper()
	dir := filepath.Join(filepath.Dir(filepath.Dir(s.home)), "fill")
	os.Mkdir(dir, 0o755)
	n := len(namesIn(t, dir))
	for {
		n++
		if err := unix.Mknod(fmt.Sprintf("%s/%d", dir, n), unix.S_IFREG, 0); err != nil {
			require.ErrorIs(t, err, unix.ENOSPC)
			return func() { os.RemoveAll(dir) }
		}
	}
}

// useUpQuota lets the file system have less than it has.
func useUpQuota(t *testing.T, s subject) func() {
	t.Helper()
	root := filepath.Dir(filepath.Dir(s.home))
	if strings.Contains(s.home, "rm--rf") {
		command(t, "btrfs", "-q", "quota", "enable", root)
		command(t, "btrfs", "-q", "qgroup", "limit", "16k", "0/5", root)
	}
	require.ErrorIs(t, os.Mkdir(s.home+"/more", 0o755), unix.EDQUOT)
	return nil
}

// overlaid makes everything of the subject the lower layer of an overlay.
func overlaid(t *testing.T, s subject) func() {
	t.Helper()
	aside := s.home + ".overlay"
	makeNames(t, aside, "upper/", "work/")
	testfs.OverlayIn(t, "", s.home, "lowerdir="+s.home+",upperdir="+aside+"/upper,workdir="+aside+"/work")
	return nil
}
