package powerloss

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// Names on the disk.
const (
	rootName   = "tempdirs"
	layersName = "layers"
	metaName   = "meta"
	noiseName  = "noise"
)

// A site is where a program runs.
type site struct {
	dir  string
	mark func(text string) error // nil: there is nobody to hear it
	// before is called before each change, if mark is there; nil: it is not.
	before func() error
	// noise is what others do on the file system before each change: "" nothing,
	// "fsync" sync a file of their own, "sync" sync everything.
	noise   string
	driver  string          // of somebody else's store
	without string          // the fsync that is left out
	fsyncs  map[string]bool // those that were made, and the one left out
}

func (s *site) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// A step is one of a program, not yet made: a promise is a step, too, so that it cannot be
// said while it is still open whether what it promises has been done.
type step func() error

// inOrder makes steps until one fails.
func inOrder(steps ...step) error {
	for _, do := range steps {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// says marks, for each id.
func (s *site) says(what string, ids ...string) step {
	return func() error {
		if s.mark == nil {
			return nil
		}
		for _, id := range ids {
			if err := s.mark(what + " " + id); err != nil {
				return err
			}
		}
		return nil
	}
}

// changing are the calls that change names or content.
var changing = []kernel.Method{
	kernel.OpenUnnamed, kernel.CreateLock, kernel.WriteOwner, kernel.LinkLock, kernel.RemoveLock, kernel.MakeData, kernel.StageDeletion,
	kernel.Commit, kernel.CommitPlainly, kernel.RemoveData, kernel.RemoveEntry, kernel.RemoveDirectory, kernel.Hoist, kernel.LinkEntry,
}

// disturb does what others do.
func (s *site) disturb() error {
	if s.mark == nil {
		return nil
	}
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	switch {
	case s.noise == "fsync":
		file, err := os.OpenFile(s.path(noiseName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		_, err = file.WriteString("x")
		return errors.Join(err, file.Sync(), file.Close())
	case s.noise == "sync":
		return syncAll(s.dir)
	}
	return nil
}

// fsync makes an fsync of the program's, unless it is the one that is left out.
func (s *site) fsync(name, path string) step {
	return func() error {
		if s.skips(name) {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(file.Sync(), file.Close())
	}
}

// skips notes an fsync and reports whether it is left out.
func (s *site) skips(name string) bool {
	if s.fsyncs != nil {
		s.fsyncs[name] = true
	}
	return name == s.without
}

// caller names the function of the library that makes an fsync.
func caller() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		frame, more := frames.Next()
		_, name, library := strings.Cut(frame.Function, module)
		name = closure.ReplaceAllString(name, "")
		if name = name[strings.LastIndexByte(name, '.')+1:]; library && name != "sync" { // through which all of a root go
			return name
		}
		if !more {
			return "?"
		}
	}
}

const module = "/afterlock/tempdir"

// closure is what the name of a function in a function ends with.
var closure = regexp.MustCompile(`(-range\d+|\.func\d+|\.\d+|-fm)*$`)

// kernel is the seam of a site.
func (s *site) kernel(k kernel.Kernel) kernel.Kernel {
	return sitesKernel{kernel.Around(k, kernel.HookFunc(func(c *kernel.Call) error {
		if slices.Contains(changing, c.Method) {
			return s.disturb()
		}
		return nil
	})), s}
}

type sitesKernel struct {
	kernel.Kernel
	site *site
}

func (k sitesKernel) SyncData(dir int) error {
	if k.site.skips(caller() + ".SyncData") {
		return nil
	}
	return k.Kernel.SyncData(dir)
}

// root opens the root of tempdir programs.
func (s *site) root() (*tempdir.Root, error) {
	return tempdir.Open(s.path(rootName), tempdir.Make(0o700), tempdir.OrphanGrace(0), kernel.With[tempdir.Option](s.kernel(kernel.Linux())))
}
