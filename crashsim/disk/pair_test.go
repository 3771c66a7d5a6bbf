//go:build linux

package disk_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/kernel"
)

// A place is a descriptor, on the disk or in the kernel.
type place struct {
	simulated   bool
	process, fd int
}

// A pair is the disk and a real directory, with the same program on both.
type pair struct {
	t         *rapid.T
	options   disk.Options
	dir       string
	disk      *disk.Disk
	processes [2]*disk.Process
	simulated [2][slots]int
	real      [2][slots]int
	kernel    kernel.Kernel
	mounted   string // the path of the one mount
	listed    map[place]bool
}

func newPair(t *rapid.T, dir string, options disk.Options) *pair {
	p := &pair{t: t, options: options, dir: dir, disk: disk.New(options), kernel: kernel.Linux(), listed: map[place]bool{}}
	for i := range p.processes {
		p.processes[i] = p.disk.Process()
		for j := range slots {
			p.simulated[i][j], p.real[i][j] = 4000, 4000
		}
	}
	p.become(true)
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Mkdir(dir+"/t", 0o700))
	p.become(false)
	must(t, p.processes[0].Mkdir("/t"))
	return p
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// become makes this thread the ordinary user for file systems, or itself again.
func (p *pair) become(user bool) {
	if p.options.Privileged || os.Geteuid() != 0 {
		return
	}
	id := 0
	if user {
		id = nobody
	}
	// Each returns the former id, also when it fails.
	_, _ = unix.SetfsuidRetUid(id)
}

func (p *pair) remove() {
	for i := range p.real {
		p.closeAll(i)
	}
	if p.mounted != "" {
		p.unmount()
	}
	_ = filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		setImmutable(path, false)
		return nil
	})
	if err := os.RemoveAll(p.dir); err != nil {
		p.t.Fatal(err)
	}
}

// unmount takes the mount away, wherever renames have moved it.
func (p *pair) unmount() {
	info, err := os.ReadFile("/proc/thread-self/mountinfo")
	must(p.t, err)
	for line := range strings.Lines(string(info)) {
		if at := strings.ReplaceAll(strings.Fields(line)[4], `\040`, " "); strings.HasPrefix(at, p.dir) {
			must(p.t, unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
		}
	}
}

func (p *pair) closeAll(process int) {
	for i, fd := range p.real[process] {
		if i < slots-1 && fd != 4000 {
			_ = unix.Close(fd)
		}
		p.real[process][i], p.simulated[process][i] = 4000, 4000
	}
}

// path is the real path of a path on the disk.
func (p *pair) path(path string) string {
	if strings.HasPrefix(path, "/") {
		return p.dir + path
	}
	return path
}

// trees are both trees, name by name.
func (p *pair) trees() (simulated, real string) {
	var here, there []string
	names := map[int32]string{}
	p.disk.Walk(func(f disk.Found) {
		first, known := names[f.Node]
		if !known {
			names[f.Node], first = f.Path, f.Path
		}
		_ = first
		target := f.Content
		here = append(here, fmt.Sprintf("%s %v %v links %d immutable %v %q", f.Path, f.Kind, f.Perm, f.Links, f.Immutable, target))
	})
	p.realTree("", &there)
	sort.Strings(here)
	sort.Strings(there)
	return strings.Join(here, "\n"), strings.Join(there, "\n")
}

func (p *pair) realTree(below string, lines *[]string) {
	dir := p.dir + below
	if os.Geteuid() != 0 {
		// An ordinary user's own directory, whose mode may forbid to read it (0300)
		// or to look at what it names (0600); it is put back.
		info, err := os.Lstat(dir)
		must(p.t, err)
		if info.Mode().Perm()&0o500 != 0o500 {
			must(p.t, os.Chmod(dir, 0o700))
			defer func() { must(p.t, os.Chmod(dir, info.Mode().Perm())) }()
		}
	}
	entries, err := os.ReadDir(dir)
	must(p.t, err)
	for _, e := range entries {
		path := below + "/" + e.Name()
		var s unix.Statx_t
		must(p.t, unix.Statx(unix.AT_FDCWD, p.dir+path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &s))
		kind := e.Type()
		content := ""
		switch kind {
		case 0:
			content = p.content(p.dir + path)
		case fs.ModeSymlink:
			content, err = os.Readlink(p.dir + path)
			must(p.t, err)
			content = strings.TrimPrefix(content, p.dir)
		}
		*lines = append(*lines, fmt.Sprintf("%s %v %v links %d immutable %v %q", path, kind, fs.FileMode(s.Mode&0o777),
			s.Nlink, s.Attributes&unix.STATX_ATTR_IMMUTABLE != 0, content))
		if kind == fs.ModeDir {
			p.realTree(path, lines)
		}
	}
}

// content reads a file, whose own mode may forbid it.
func (p *pair) content(path string) string {
	content, err := os.ReadFile(path)
	if err != nil && os.Geteuid() != 0 {
		info, statErr := os.Lstat(path)
		must(p.t, statErr)
		must(p.t, os.Chmod(path, 0o600))
		content, err = os.ReadFile(path)
		must(p.t, os.Chmod(path, info.Mode().Perm()))
	}
	must(p.t, err)
	return string(content)
}
