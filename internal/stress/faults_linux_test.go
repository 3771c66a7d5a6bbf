package stress

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// Every kernel in this file breaks one promise, so that one check of a stage
// has something to find.

// A thief takes every lock, also those that are held: a recoverer that deletes
// live data.
type thief struct{ kernel.Kernel }

func (thief) TakeLock(int) error { return nil }

// A leaker keeps a second descriptor of every directory it opens.
type leaker struct{ kernel.Kernel }

func (k leaker) OpenDirectory(dir int, name string) (int, error) {
	fd, err := k.Kernel.OpenDirectory(dir, name)
	if err == nil && !leaked.Swap(true) {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	return fd, err
}

var leaked atomic.Bool // one is enough to be found

// A litterer leaves a name in the root that no recovery removes.
type litterer struct{ kernel.Kernel }

func (k litterer) MakeData(root int, name string) error {
	fd, err := unix.Openat(root, "litter", unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	unix.Close(fd)
	return k.Kernel.MakeData(root, name)
}

// A liar says that a victim was staged, and leaves it where it is.
type liar struct{ kernel.Kernel }

func (liar) StageDeletion(string, int, string) error { return nil }

// A loser says that an addition was committed, and has it nowhere.
type loser struct{ kernel.Kernel }

func (loser) Commit(int, string, string) error { return nil }

// A partialCommit loses a file of every tree it commits.
type partialCommit struct{ kernel.Kernel }

func (k partialCommit) Commit(root int, entry, destination string) error {
	err := k.Kernel.Commit(root, entry, destination)
	if err == nil {
		removeOneFile(destination)
	}
	return err
}

// A nibbler is killed in the middle of a deletion that it makes file by file
// under the old name, as everybody did before there were renames.
type nibbler struct{ kernel.Kernel }

func (nibbler) StageDeletion(victim string, _ int, _ string) error {
	removeOneFile(victim)
	unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}

// A careless kernel removes what symbolic links lead to.
type careless struct{ kernel.Kernel }

func (k careless) RemoveEntry(dir int, name string) error {
	if target, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(dir), name)); err == nil {
		removeOneFile(target)
	}
	return k.Kernel.RemoveEntry(dir, name)
}

// A neighbour stages the victim's neighbour as well.
type neighbour struct{ kernel.Kernel }

func (k neighbour) StageDeletion(victim string, root int, entry string) error {
	if err := k.Kernel.StageDeletion(victim, root, entry); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(filepath.Dir(victim), layerName(0)))
}

// A fullDisk has no inodes left.
type fullDisk struct{ kernel.Kernel }

func (fullDisk) MakeData(int, string) error { return unix.ENOSPC }

// A broken kernel cannot stage for a reason that nobody expects.
type broken struct{ kernel.Kernel }

func (broken) StageDeletion(string, int, string) error { return unix.EBADMSG }

// removeOneFile removes the first file with a short name in path.
func removeOneFile(path string) {
	_ = filepath.WalkDir(path, func(at string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && !strings.HasPrefix(entry.Name(), "nnn") {
			_ = os.Remove(at)
			return filepath.SkipAll
		}
		return nil
	})
}
