//go:build amd64 || arm64

package subjects

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A group is a cgroup in which processes are killed all at once.
type group struct{ dir string }

// newGroup makes a group below the one of this process.
func newGroup() (*group, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	at := ""
	for line := range strings.Lines(string(own)) {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			at = strings.TrimSpace(rest)
		}
	}
	err = errors.New("no cgroup of version 2 is mounted")
	for line := range strings.Lines(string(mounts)) {
		head, tail, _ := strings.Cut(line, " - ")
		if words := strings.Fields(head); strings.HasPrefix(tail, "cgroup2 ") && len(words) > 4 {
			prefix := filepath.Join(words[4], at, "afterlock-")
			for _, left := range leftByEnded(prefix) {
				_ = os.Remove(left)
			}
			dir := prefix + strconv.Itoa(os.Getpid())
			if err = os.Mkdir(dir, 0o700); err == nil {
				if _, err = os.Stat(filepath.Join(dir, "cgroup.kill")); err == nil { // since Linux 5.14
					return &group{dir}, nil
				}
				_ = os.Remove(dir)
			}
		}
	}
	return nil, err
}

// add puts a process in the group.
func (g *group) add(pid int) error {
	return os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// kill ends all processes in the group.
func (g *group) kill() error {
	events, err := os.Open(filepath.Join(g.dir, "cgroup.events"))
	if err != nil {
		return err
	}
	defer events.Close()
	if err := os.WriteFile(filepath.Join(g.dir, "cgroup.kill"), []byte("1"), 0); err != nil {
		return err
	}
	for range int(steeredPatience / time.Second) {
		text := make([]byte, 200)
		n, err := events.ReadAt(text, 0)
		if n == 0 {
			return err
		}
		if strings.Contains(string(text[:n]), "populated 0") {
			return nil
		}
		// The kernel tells of a change since the file was read.
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, 1000); err != nil && err != unix.EINTR {
			return err
		}
	}
	return errors.New("a process outlives its group")
}

func (g *group) remove() { _ = os.Remove(g.dir) }
