package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/afterlock/afterlock/tempdir"
)

// A place is what one argument of ls and recover stands for.
type place struct {
	Path      string   `json:"path"`
	PathBytes []byte   `json:"path_bytes,omitempty"`
	Kind      string   `json:"kind"`              // what its own files say it is
	Drivers   []string `json:"drivers,omitempty"` // layouts of a store of containers/storage
	Pulls     []pull   `json:"pulls,omitempty"`   // partial pulls of containers/storage
	roots     []string
}

// What a place can be.
const (
	kindRoot       = "root"
	kindGraphRoot  = "graph root of containers/storage"
	kindImageStore = "image store of containers/storage"
	kindPart       = "part of a store of containers/storage"
	kindLayerStore = "layer store"
)

// store reports whether the place is a store, so that names in it are the store's.
func (p place) store() bool { return p.Kind != kindRoot }

// layouts are those that containers/storage has or had. Their names begin
// the names of a store's directories.
var layouts = []string{"aufs", "btrfs", "devicemapper", "overlay", "overlay2", "vfs", "zfs"}

// look finds out what path is: a store, which has any number of roots, or a root.
// A store is known by its own files, of whatever version; that something in it
// cannot be looked at is an error, because it might be a root.
func look(path string) (place, error) {
	p := place{Path: path, PathBytes: bytesOf(path), Kind: kindRoot}
	entries, err := os.ReadDir(path)
	if err != nil {
		return p, err
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(entries, func(entry os.DirEntry) bool { return slices.Contains(names, entry.Name()) })
	}
	containers := false
	for _, entry := range entries {
		name := entry.Name()
		driver, kind, found := strings.Cut(name, "-")
		switch {
		case found && slices.Contains(layouts, driver) && slices.Contains([]string{"layers", "images", "containers"}, kind):
			p.Kind = kindImageStore
			containers = containers || kind == "containers"
			if !slices.Contains(p.Drivers, driver) {
				p.Drivers = append(p.Drivers, driver)
			}
			if kind == "layers" {
				err = errors.Join(err, p.addRoot(name, "tmp"))
			}
		case name == "overlay" || name == "vfs":
			err = errors.Join(err, p.addRoot(name, "tempdirs"), p.addPulls(name, "staging"))
		case name == "tempdirs":
			err = errors.Join(err, p.addRoot(name))
		}
	}
	switch base := filepath.Base(filepath.Clean(path)); {
	case has("storage.lock") || containers:
		p.Kind = kindGraphRoot
	case p.Kind != kindRoot:
	case has("layers.lock", "images.lock", "containers.lock"):
		p.Kind = kindPart
		if strings.HasSuffix(base, "-layers") {
			err = errors.Join(err, p.addRoot("tmp"))
		}
	case slices.Contains(layouts, base) && (exists(path+"/../"+base+"-layers") || exists(path+"/../"+base+"-images")):
		p.Kind = kindPart
		err = errors.Join(err, p.addPulls("staging"))
	case has("store.lock") && has("layers.json", "vfs", "overlay"):
		p.Kind = kindLayerStore
	}
	instances := slices.ContainsFunc(entries, func(entry os.DirEntry) bool {
		return strings.HasPrefix(entry.Name(), "lock-") || strings.HasPrefix(entry.Name(), "temp-dir-")
	})
	if err == nil && (instances || !p.store() && len(p.roots) == 0) {
		p.roots = append(p.roots, path)
	}
	return p, err
}

// join is the path of a name in the place. It leaves ".." to the kernel: "a/.." need
// not be "." if a is a symbolic link.
func (p place) join(names ...string) string {
	return strings.TrimRight(p.Path, "/") + "/" + strings.Join(names, "/")
}

// addRoot adds the root at the names below the place, if it is there. A link is
// followed to "l" beside it, which is how a store keeps its instances from releases
// that would remove them (docs/operations.md), and nowhere else.
func (p *place) addRoot(names ...string) error {
	root := p.join(names...)
	if target, err := os.Readlink(root); err == nil && target == "l/tempdirs" {
		root = strings.TrimSuffix(root, "tempdirs") + target
	}
	info, err := os.Lstat(root)
	switch {
	case missing(err):
		return nil
	case err == nil && info.IsDir():
		p.roots = append(p.roots, root)
	}
	return err
}

// missing says that a name does not exist, or that what is above it is no directory.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isNotDirectory(err)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A pull is one directory in which containers/storage builds a partial pull.
type pull struct {
	Path      string    `json:"path"`
	PathBytes []byte    `json:"path_bytes,omitempty"`
	State     string    `json:"state"`            // a pull's states are below
	Holder    int       `json:"holder,omitempty"` // process that holds the lock
	Changed   time.Time `json:"changed"`
	Error     string    `json:"error,omitempty"` // why the state is unknown
}

// The states of a pull.
const (
	pullHeld    = "held"    // a process holds its lock
	pullFree    = "free"    // nobody does
	pullNoLock  = "no lock" // no lock file: it is being made, or was left in that moment
	pullUnknown = "unknown"
)

// addPulls adds the partial pulls in the directory at the names below the place.
// Afterlock lists them and never removes them: their lock file is made inside
// after the directory, so that one without a lock may be one that is being made.
func (p *place) addPulls(names ...string) error {
	staging := p.join(names...)
	entries, err := os.ReadDir(staging)
	if missing(err) {
		return nil
	}
	for _, entry := range entries {
		one := pull{Path: staging + "/" + entry.Name()}
		one.PathBytes = bytesOf(one.Path)
		if info, err := entry.Info(); err == nil {
			one.Changed = info.ModTime()
		}
		held, holder, err := lockHolder(one.Path + "/staging.lock")
		switch {
		case missing(err):
			one.State = pullNoLock
		case err != nil:
			one.State, one.Error = pullUnknown, err.Error()
		case held:
			one.State, one.Holder = pullHeld, holder
		default:
			one.State = pullFree
		}
		p.Pulls = append(p.Pulls, one)
	}
	return err
}

// nothing is the line for a store without roots.
func (p place) nothing() string {
	text := printable(p.Path) + ": " + p.Kind
	if len(p.Drivers) > 0 {
		text += " (" + strings.Join(p.Drivers, ", ") + ")"
	}
	return text + ": it has no roots yet, so there is nothing to recover"
}

// openRoot opens a root that may belong to a store of containers/storage, whose
// ids then count as instances.
func openRoot(path string, lockGrace, orphanGrace time.Duration, more ...tempdir.Option) (*tempdir.Root, error) {
	options := []tempdir.Option{tempdir.MixedFleet(lockGrace, orphanGrace), tempdir.OrphanGrace(orphanGrace), tempdir.Purpose("afterlock recover")}
	return tempdir.Open(path, append(options, more...)...)
}

// flagOptions are the options that --clear-flags stands for.
func flagOptions(clear bool) []tempdir.Option {
	if clear {
		return []tempdir.Option{tempdir.ClearFlags()}
	}
	return nil
}

// The graces, unless the user says otherwise.
const (
	lockGrace   = time.Minute
	orphanGrace = 24 * time.Hour
)
