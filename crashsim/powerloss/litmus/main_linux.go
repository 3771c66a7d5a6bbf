// Command litmus finds out what file systems guarantee: it runs short programs on them,
// makes every content of the disk that a power loss can leave (see package powerloss),
// lets the kernel mount each of them, and counts what is there. What it saw is in data,
// one file for each file system and kernel; docs/litmus.md is made from that.
//
//	go run ./crashsim/powerloss/litmus [--fs ext4,xfs,btrfs] [--kernel 6.1] [--budget 60]
//	go run ./crashsim/powerloss/litmus --case REGEXP
//	go run ./crashsim/powerloss/litmus --page > docs/litmus.md
//
// With --case what is seen of some cases is printed, and data is left alone. It needs
// root, FUSE, loop devices and mkfs. With --kernel the programs run in a virtual
// machine with that kernel of Debian's, see qemu_linux.go; what is left is mounted by this
// kernel.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/powerloss"
	"github.com/afterlock/afterlock/internal/bench/proc"
)

// options are those of the command.
type options struct {
	FS, Kernel, Only string
	Budget           int
	Dir              string // for mounts
}

// roleMeasure is a process with name spaces of its own for mounts and processes: with it
// everything ends that it mounts and starts.
const roleMeasure = "litmus"

// An answer is what it says.
type answer struct{ Text, Err string }

func init() {
	proc.Register(roleMeasure, func([]string) {
		var o options
		proc.Fail(proc.Parent.Receive(&o))
		var a answer
		t, err := o.measure()
		if err != nil {
			a.Err = err.Error()
		} else {
			a.Text = t.String()
		}
		proc.Fail(proc.Parent.Send(a))
	})
}

func main() {
	if len(os.Args) == 5 && os.Args[1] == guestArgument {
		end, err := strconv.ParseInt(os.Args[4], 10, 64)
		proc.Fail(err)
		proc.Fail(guest(os.Args[2], os.Args[3], end))
		return
	}
	proc.Become()
	var o options
	flag.StringVar(&o.FS, "fs", "ext4,xfs,btrfs", "file systems")
	flag.StringVar(&o.Kernel, "kernel", "", "version of a kernel of Debian's, in a virtual machine; none: this kernel")
	flag.StringVar(&o.Only, "case", "", "regular expression of cases: print what is seen of them, and do not keep it")
	flag.IntVar(&o.Budget, "budget", 60, "states of each case")
	data := flag.String("data", "crashsim/powerloss/litmus/data", "directory for what is seen")
	prints := flag.Bool("page", false, "print the page, and measure nothing")
	flag.Parse()
	if *prints {
		text, err := page(*data)
		proc.Fail(err)
		fmt.Print(text)
		return
	}
	for _, name := range strings.Split(o.FS, ",") {
		o.FS = name
		t, err := o.inside()
		proc.Fail(err)
		if o.Only != "" {
			fmt.Print(t)
			continue
		}
		file := filepath.Join(*data, t.fs+"-"+majorMinor.FindString(t.kernel)+".txt")
		proc.Fail(os.WriteFile(file, []byte(t.String()), 0o644))
		fmt.Printf("%s: %d contents of the disk\n", file, t.states())
	}
}

// inside measures one file system in a process of its own. The error matches
// errors.ErrUnsupported where that cannot be done.
func (o options) inside() (*table, error) {
	f, err := powerloss.FileSystemOf(o.FS)
	if err == nil {
		err = f.Available()
	}
	if err != nil {
		return nil, err
	}
	if o.Dir, err = os.MkdirTemp("", "litmus-"); err != nil {
		return nil, err
	}
	defer os.Remove(o.Dir)
	p := proc.New(roleMeasure)
	p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		return nil, err
	}
	defer p.Kill()
	var a answer
	if err := p.Send(o); err != nil {
		return nil, err
	}
	if err := p.Receive(&a); err != nil {
		return nil, err
	}
	if a.Err != "" {
		return nil, errors.New(a.Err)
	}
	return parseTable(a.Text)
}

var majorMinor = regexp.MustCompile(`^\d+\.\d+`)

// A recording is all that the programs wrote to a disk, and what was on it before.
type recording struct {
	base   string // an image
	log    []powerloss.Entry
	kernel string
}

// measure records all cases on a new file system, and looks at what power losses leave.
func (o options) measure() (*table, error) {
	f, err := powerloss.FileSystemOf(o.FS)
	if err != nil {
		return nil, err
	}
	only, err := regexp.Compile(o.Only)
	if err != nil {
		return nil, err
	}
	cases := slices.DeleteFunc(slices.Clone(allCases()), func(c *litmus) bool { return !only.MatchString(c.name) })
	if len(cases) == 0 {
		return nil, fmt.Errorf("no case matches %q", o.Only)
	}
	if err := powerloss.Workshop(o.Dir); err != nil {
		return nil, err
	}
	image, mount := filepath.Join(o.Dir, "image"), filepath.Join(o.Dir, "disk")
	for _, dir := range []string{mount, filepath.Join(o.Dir, "fuse")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := f.Make(image); err != nil {
		return nil, err
	}
	r := recording{base: filepath.Join(o.Dir, "base")}
	if err := exec.Command("cp", "--sparse=always", image, r.base).Run(); err != nil {
		return nil, err
	}
	if o.Kernel != "" {
		err = r.inMachine(o, f, image)
	} else {
		r.kernel = release()
		r.log, err = powerloss.Record(f, image, mount, func(mark func(string) error) error { return runAll(cases, mount, mark) })
	}
	if err != nil {
		return nil, err
	}
	t := &table{fs: o.FS, kernel: r.kernel, how: f.RecordOptions(), cases: make(map[string]*result)}
	base, err := os.OpenFile(r.base, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	for _, c := range cases {
		begin := slices.IndexFunc(r.log, func(e powerloss.Entry) bool { return e.Mark == markCase+c.dir })
		if begin < 0 {
			return nil, fmt.Errorf("%s is not in the log", c.name)
		}
		end := begin + slices.IndexFunc(r.log[begin:], func(e powerloss.Entry) bool { return e.Mark == markEnd })
		if err := write(base, r.log[:begin]); err != nil {
			return nil, err
		}
		if t.cases[c.name], err = replay(f, base, r.log[begin:end], mount, c.dir, o.Budget); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		t.cases[c.name].do = c.do
		r.log = r.log[begin:]
	}
	return t, nil
}

// release is this kernel's version.
func release() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "?"
	}
	return unix.ByteSliceToString(name.Release[:])
}

// write makes entries on the disk.
func write(disk *os.File, log []powerloss.Entry) error {
	for _, e := range log {
		data := e.Data
		if data == nil {
			data = make([]byte, e.Size)
		}
		if _, err := disk.WriteAt(data, e.Offset); err != nil {
			return err
		}
	}
	return nil
}

// replay makes what power losses leave of a case, and looks at it.
func replay(f powerloss.FileSystem, base *os.File, log []powerloss.Entry, mount, name string, budget int) (*result, error) {
	replayer, err := powerloss.NewReplayer(f, base, log, mount)
	if err != nil {
		return nil, err
	}
	defer replayer.Close()
	r := &result{}
	for _, cut := range powerloss.Cuts(log, 1, budget, 1) {
		tree, err := "unmountable", replayer.Mount(cut)
		if refused := new(powerloss.MountError); err != nil && !errors.As(err, &refused) {
			return nil, err
		}
		if err == nil {
			if tree, err = look(filepath.Join(mount, name)); err != nil {
				tree = "unreadable: " + errors.Unwrap(err).Error()
			}
			if err := replayer.Unmount(); err != nil {
				return nil, err
			}
		}
		for _, same := range cut.Same(log) {
			steps := 0
			for _, mark := range powerloss.MarksBefore(log, same.At) {
				if mark == markStep {
					steps++
				}
			}
			r.add(steps, tree)
		}
	}
	return r, nil
}
