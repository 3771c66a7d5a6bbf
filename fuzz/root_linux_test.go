package fuzz

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
)

// A hostile root is made of nodes, two bytes each: which path, and what is there.
var (
	rootIDs = [...]string{"0000000000000000000000000000000a", "0000000000000000000000000000000b"}

	hostilePaths = func() (paths []string) {
		for _, id := range rootIDs {
			paths = append(paths, "lock-"+id, "temp-dir-"+id, "temp-dir-"+id+"/0-x", "temp-dir-"+id+"/0-x/f", "temp-dir-"+id+"/1-y", "temp-dir-"+id+"/junk", "lock-"+id+"/f")
		}
		return append(paths, "lock-short", "temp-dir-zz", "temp-dir-"+strings.ToUpper(rootIDs[0]), "lock-", "notes", "notes/f", ".lock-"+rootIDs[0], "lock-"+rootIDs[0]+"~")
	}()
	hostileKinds    = [...]fs.FileMode{0, fs.ModeDir, fs.ModeDir, fs.ModeSymlink, fs.ModeNamedPipe, fs.ModeSocket}
	hostileContents = [...]string{"", "/outside", "/root/temp-dir-" + rootIDs[1], `{"pid":1,"boot":"b"}` + "\n", `{"pid":-1}` + "\n", "\x00\xff"}
)

// makeHostile makes the nodes in dir/root, as far as that is possible, and returns them
// in words, the ids whose lock files it has locked, and how to let them go.
func makeHostile(dir string, data []byte) (words []string, live map[string]bool, release func()) {
	live = map[string]bool{}
	var held []int
	for ; len(data) >= 2 && len(words) < 24; data = data[2:] {
		name, what, extra := hostilePaths[int(data[0])%len(hostilePaths)], int(data[1]&31), data[1]>>5
		path, kind, content := filepath.Join(dir, "root", name), hostileKinds[what%len(hostileKinds)], hostileContents[what/len(hostileKinds)]
		var err error
		switch kind {
		case 0:
			var file *os.File
			if file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
				_, err = file.WriteString(content)
				err = errors.Join(err, file.Close())
			}
		case fs.ModeDir:
			err = os.Mkdir(path, 0o700)
		case fs.ModeSymlink:
			err = os.Symlink(dir+content, path)
		case fs.ModeNamedPipe:
			err = unix.Mkfifo(path, 0o600)
		case fs.ModeSocket:
			err = unix.Mknod(path, unix.S_IFSOCK|0o600, 0)
		}
		words = append(words, fmt.Sprintf("%s %v %q, %d: %v", name, kind, content, extra, err))
		switch extra {
		case 1:
			if kind == 0 { // what has such a directory, an ordinary user cannot clear
				_ = os.Chmod(path, 0)
			}
		case 2:
			_ = os.Link(path, path+"~")
		case 3, 4:
			id, isLock := strings.CutPrefix(name, "lock-")
			if fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
				held = append(held, fd)
				lock := unix.Flock_t{Type: unix.F_WRLCK}
				if unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &lock) == nil && isLock && len(id) == 32 {
					live[id] = true
				}
			}
		}
	}
	return words, live, func() {
		for _, fd := range held {
			_ = unix.Close(fd)
		}
	}
}

// seen is every name below a directory with what is there.
func seen(t *testing.T, dir string) map[string]string {
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if entry == nil || err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			return err
		}
		content := ""
		if entry.Type() == 0 {
			text, _ := os.ReadFile(path)
			content = string(text)
		}
		all[strings.TrimPrefix(path, dir)] = fmt.Sprintf("%o %d %q", stat.Mode, stat.Ino, content)
		return nil
	}))
	return all
}

// FuzzRoot: whatever is in a root, looking changes nothing; recovery removes what it
// says it did, all of it, and nothing else: neither what is live, nor what is foreign,
// nor what is outside; and once more there is nothing to do.
func FuzzRoot(f *testing.F) {
	f.Add([]byte{0, 3*6 + 0, 1, 1, 2, 1, 3, 0})          // a stale instance
	f.Add([]byte{0, 0 | 4<<5, 1, 1, 2, 1, 7, 0, 8, 1})   // a live one, and a stale one
	f.Add([]byte{1, 1, 2, 6 + 3, 8, 1, 9, 1 | 2<<5})     // orphans: a link that leads out, a mount
	f.Add([]byte{0, 6 + 3, 1, 1, 7, 1, 8, 6 + 3, 14, 0}) // a lock file that is a link, one that is a directory
	f.Add([]byte{0, 0, 1, 1, 2, 1 | 1<<5, 3, 0, 4, 4})   // what may not be read
	given, err := hex.DecodeString(*nodes)
	require.NoError(f, err)
	f.Add(given)
	dir := filepath.Join(testfs.InMemory(f), "d")
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NoError(t, os.RemoveAll(dir))
		for _, name := range []string{"root", "outside/d"} {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		}
		require.NoError(t, os.WriteFile(dir+"/outside/d/f", []byte("canary"), 0o600))
		words, live, release := makeHostile(dir, data)
		defer release()
		before := seen(t, dir)
		say := fmt.Sprintf("%s\nrepeat: go test ./fuzz -run FuzzRoot -fuzz.root %x", strings.Join(words, "\n"), data)
		root, err := tempdir.Open(dir+"/root", tempdir.OrphanGrace(0))
		require.NoError(t, err, say)
		_, _ = root.Instances(t.Context())
		assert.Equal(t, before, seen(t, dir), "looking has changed something\n%s", say)
		report, err := root.Recover(t.Context())
		after, gone := seen(t, dir), map[string]bool{}
		for _, r := range report.Results {
			gone[r.ID] = r.Outcome == tempdir.Recovered
			assert.False(t, gone[r.ID] && live[r.ID], "%s is live\n%s", r.ID, say)
			assert.Equal(t, r.Outcome == tempdir.Failed, r.Err != nil, "%s: %v\n%s", r.ID, r.Outcome, say)
		}
		for path := range after {
			assert.Contains(t, before, path, "made by recovery\n%s", say)
		}
		failed := err != nil
		for path, what := range before {
			name, _, _ := strings.Cut(strings.TrimPrefix(path, "/root/"), "/")
			id := strings.TrimPrefix(strings.TrimPrefix(name, "lock-"), "temp-dir-")
			isOurs := len(id) == 32 && strings.ToLower(id) == id && path != "/root" && strings.HasPrefix(path, "/root/") && name != id
			switch {
			case gone[id] && isOurs:
				assert.NotContains(t, after, path, "%s is said to be recovered\n%s", id, say)
			case !isOurs, live[id]:
				assert.Equal(t, what, after[path], "%s is none of recovery's\n%s", path, say)
			}
		}
		again, err := root.Recover(t.Context())
		for _, r := range again.Results {
			assert.NotEqual(t, tempdir.Recovered, r.Outcome, "%s is recovered twice\n%s", r.ID, say)
		}
		assert.Equal(t, failed, err != nil, "once more: %v\n%s", err, say)
		require.NoError(t, root.Close())
	})
}
