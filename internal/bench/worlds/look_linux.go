package worlds

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A tree is what is below a directory, by path.
type tree map[string]seen

// A seen is everything that can be seen of one name.
type seen struct {
	Type       string
	Mode       os.FileMode
	UID, GID   uint32
	Modified   int64  // ns
	Content    string // of a file or a link, or the number of a device
	Attributes string // the extended ones
}

// look describes what is at and below the path, which need not be there. It does
// not look behind mounts that a shape has.
func look(path string) (all tree, err error) {
	all = tree{}
	err = filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(path, at)
		if errors.Is(err, fs.ErrNotExist) && (e == nil || name != ".") {
			return nil // by now
		}
		if errors.Is(err, unix.ENOTCONN) {
			all[name] = seen{Type: "a dead mount"}
			return nil
		}
		if filepath.Base(at) == behind {
			all[name] = seen{Type: "a mount"}
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil // gone by now
		}
		stat := info.Sys().(*syscall.Stat_t)
		one := seen{
			Type: info.Mode().Type().String()[:1], Mode: info.Mode() &^ fs.ModeType, UID: stat.Uid, GID: stat.Gid,
			Modified: info.ModTime().UnixNano(), Attributes: attributes(at),
		}
		switch {
		case strings.HasPrefix(e.Name(), "lock-"): // to close it would drop a lock of this process
		case info.Mode().IsRegular():
			content, err := os.ReadFile(at)
			if err != nil && !errors.Is(err, fs.ErrPermission) { // whose owner may not read it either
				return err
			}
			one.Content = string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			one.Content, _ = os.Readlink(at)
		case info.Mode()&fs.ModeDevice != 0:
			one.Content = fmt.Sprint(stat.Rdev)
		}
		all[name] = one
		return nil
	})
	return all, err
}

// attributes are the extended ones, as text.
func attributes(path string) string {
	names := make([]byte, 1000)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		return ""
	}
	var all []string
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		value := make([]byte, 1000)
		if n, err := unix.Lgetxattr(path, name, value); err == nil && name != "" {
			all = append(all, fmt.Sprintf("%s=%q", name, value[:n]))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// with returns the tree with another state of one name.
func (t tree) with(name string, change func(*seen)) tree {
	t = maps.Clone(t)
	if one, ok := t[name]; ok {
		change(&one)
		t[name] = one
	}
	return t
}

// bare is the tree without what a copy does not have, or has by chance.
func (t tree) bare() tree {
	all := tree{}
	for name, one := range t {
		one.UID, one.GID, one.Modified, one.Attributes = 0, 0, 0, ""
		all[name] = one
	}
	return all
}

// differs says how b differs from a, or nothing.
func differs(a, b tree) string {
	for name, what := range a {
		switch got, ok := b[name]; {
		case !ok:
			return fmt.Sprintf("%q is missing", name)
		case got != what:
			return fmt.Sprintf("%q is %s, not %s", name, got, what)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			return fmt.Sprintf("%q is new", name)
		}
	}
	return ""
}

func (s seen) String() string {
	content := s.Content
	if len(content) > 40 {
		content = content[:40] + "..."
	}
	return fmt.Sprintf("%s%v %d:%d %v %q %s", s.Type, s.Mode, s.UID, s.GID, time.Unix(0, s.Modified).UTC(), content, s.Attributes)
}
