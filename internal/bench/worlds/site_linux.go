package worlds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// Ids outside: the ordinary user, the first of its subordinate ids, and somebody
// else.
const (
	ordinary    = 1234
	subordinate = 100_000
	stranger    = 4321
)

// errRefused is matched by the error of what cannot be built here.
var errRefused = fmt.Errorf("cannot be built here: %w", errors.ErrUnsupported)

func refused(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", errRefused, what, err)
}

// A site is where one world is played: directories on a volume, and what has to be
// undone.
type site struct {
	World
	volume *volume // that is to be full
	dir    string  // everything
	store  string  // what the program works in, owned by its user
	root   string
	victim string // what is deleted, or the layer that is
	added  string // what is added, or the layer's files

	before  tree            // of the victim
	under   *os.File        // the victim that is behind a mount
	sealed  *os.File        // what is a read-only subvolume
	content tree            // of a new layer
	outside map[string]tree // what nobody may touch
	used    map[string]tree // and no deletion of a layer
	keep    []string        // mounts that are no obstacle
	held    []*os.File      // what keeps a lock, or reaches what is detached
	undo    []func()        // in the opposite order
	dead    bool            // the victim was put into a stale instance
}

// Ids of instances whose names are written here, not by the library: a stale one, one
// of a stranger, an orphan of a stranger, and a live one whose lock file is gone.
const (
	staleID    = "0123456789abcdef0123456789abcdef"
	strangerID = "123456789abcdef0123456789abcdef0"
	orphanID   = "23456789abcdef0123456789abcdef01"
	liveID     = "3456789abcdef0123456789abcdef012"
)

// Layouts of the layer store, and labels of its layers, which take more than a block.
var (
	layouts = map[string]layerstore.Driver{"vfs": layerstore.VFS, "overlay": layerstore.Overlay}
	labels  = map[string]string{"label": strings.Repeat("x", 9000)}
)

// layout is the one of a program of the layer store.
func layout(program string) string {
	if strings.HasPrefix(program, "overlay-") {
		return "overlay"
	}
	return "vfs"
}

// build makes the site of the world, up to what keeps others from building: the
// obstacles come with obstruct. The error matches errRefused if the kernel or the
// machine will not have it so.
func (v *volumes) build(ctx context.Context, w World, n int) (s *site, err error) {
	s = &site{World: w, outside: map[string]tree{}, used: map[string]tree{}}
	if strings.HasPrefix(w.value(program), "cli-") && Command == nil {
		return s, refused("this program has no commands", unix.ENOSYS)
	}
	if !v.mounted && !w.is(user, "self") {
		return s, refused("become another user", unix.EPERM)
	}
	if w.is(fileSystem, "here") && w.is(shape, "immutable", "frozen", "pinned", "locked") {
		return s, refused("what a killed run leaves could not be removed", unix.EPERM)
	}
	if !v.mounted && w.is(shape, "closed") {
		return s, refused("look into what is closed, to judge", unix.EACCES)
	}
	small := w.is(space, "noblocks", "noinodes")
	volume := v.of(w.value(fileSystem), small)
	if volume.err != nil {
		return s, volume.err
	}
	if small {
		volume.use.Lock()
		s.undo = append(s.undo, volume.use.Unlock)
		s.volume = volume
		if err := s.room(); err != nil {
			return s, err
		}
	}
	s.dir = filepath.Join(volume.dir, fmt.Sprint("w", n))
	s.undo = append(s.undo, func() { raze(s.dir) })
	s.dead = w.is(program, "recover", "cli-recover", "list", "cli-ls", "store-recover")
	for _, step := range []func(context.Context) error{s.directories, s.mounts, s.roots, s.neighbours} {
		if err := step(ctx); err != nil {
			return s, v.permitted(err)
		}
	}
	return s, nil
}

// permitted makes of what this user may not do what cannot be built.
func (v *volumes) permitted(err error) error {
	if !v.mounted && errors.Is(err, fs.ErrPermission) {
		return refused("as this user", err)
	}
	return err
}

// release lets go of what this process holds in the site.
func (s *site) release() {
	for _, f := range s.held {
		f.Close()
	}
	s.held = nil
}

// leave removes the site, whatever is in it.
func (s *site) leave() {
	s.release()
	for _, undo := range slices.Backward(s.undo) {
		undo()
	}
}

// raze removes what a world has left, with mounts, flags and modes that are in the way.
func raze(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	for _, at := range slices.Backward(mountsBelow(dir)) {
		_ = unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	}
	clearFlags(dir)
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() && err == nil {
			_ = os.Chmod(path, 0o700) // before it is read
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}

// directories makes those of the site, and the mounts that are part of the place.
func (s *site) directories(context.Context) error {
	s.store = filepath.Join(s.dir, "s")
	if s.is(fileSystem, "overlay") {
		s.store = filepath.Join(s.dir, "merged")
	}
	dirs, files := []string{filepath.Base(s.store), "canary/d"}, []string{"canary/f", "canary/d/f"}
	if s.is(fileSystem, "overlay") {
		dirs = append(dirs, "lower", "upper", "work")
	}
	if s.is(place, "mount") {
		dirs = append(dirs, "other")
	}
	if !s.is(use, "nobody", "held") {
		dirs, files = append(dirs, "u", "lowest"), append(files, "uf")
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(name), 0o644); err != nil {
			return err
		}
	}
	s.root, s.victim, s.added = filepath.Join(s.store, "root"), filepath.Join(s.store, "p", "v"), filepath.Join(s.store, "p", "new")
	if s.ofStore() {
		s.added = s.layer("added")
	} else if s.is(place, "mount") && s.dead {
		s.root = filepath.Join(s.store, "p", "root")
	}
	if s.is(place, "lower") && !s.is(fileSystem, "overlay") {
		return refused("only overlays have a lower layer", unix.EINVAL)
	}
	return nil
}

// home is the directory of the store's layers, and layer that of one of them.
func (s *site) home() string {
	return filepath.Join(s.store, "ls", map[string]string{"vfs": "vfs/dir", "overlay": "overlay"}[layout(s.value(program))])
}

func (s *site) layer(id string) string {
	return filepath.Join(s.home(), id, map[string]string{"overlay": "diff"}[layout(s.value(program))])
}

// mounts makes the store and the victim, and the mounts that are part of the place:
// an overlay comes after what is in its lower layer.
func (s *site) mounts(ctx context.Context) error {
	if s.is(place, "lower") {
		lower := *s
		lower.store = filepath.Join(s.dir, "lower")
		lower.victim, lower.root = filepath.Join(lower.store, "p", "v"), filepath.Join(lower.store, "root")
		if err := errors.Join(lower.own(lower.store), lower.prepare(ctx)); err != nil {
			return err
		}
		s.content = lower.content
		s.root, s.victim = s.store+strings.TrimPrefix(lower.root, lower.store), s.store+strings.TrimPrefix(lower.victim, lower.store)
	}
	if s.is(fileSystem, "overlay") {
		options := fmt.Sprintf("lowerdir=%s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", s.dir)
		if err := s.mount("overlay", s.store, "overlay", 0, options); err != nil {
			return err
		}
	}
	if err := s.own(s.store); err != nil {
		return err
	}
	if s.is(place, "lower") { // an overlay does not show everything of it
		var err error
		if s.before, err = look(s.victim); err != nil {
			return err
		}
	}
	if s.is(place, "mount") && !s.ofStore() {
		if err := s.mount(filepath.Join(s.dir, "other"), filepath.Dir(s.victim), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if !s.is(place, "lower") {
		if err := s.prepare(ctx); err != nil {
			return err
		}
	}
	if s.is(alias, "bind") {
		return s.mount(s.store, filepath.Join(s.dir, "a"), "", unix.MS_BIND|unix.MS_REC, "")
	}
	if s.is(alias, "symlink") {
		return os.Symlink(s.store, filepath.Join(s.dir, "l"))
	}
	return nil
}

// aliased is the path in the store by the name that the program is told.
func (s *site) aliased(path string) string {
	below := strings.TrimPrefix(path, s.store)
	switch s.value(alias) {
	case "symlink":
		return filepath.Join(s.dir, "l") + below
	case "bind":
		return filepath.Join(s.dir, "a") + below
	}
	return path
}

func (s *site) mount(source, target, fstype string, flags uintptr, options string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, target, fstype, flags, options); err != nil {
		return refused("mount "+fstype, err)
	}
	s.keep = append(s.keep, target)
	return nil
}

// owner is who owns the store, as an id outside.
func (s *site) owner() int {
	if s.is(user, "self") {
		return os.Geteuid()
	}
	return ordinary
}

// ofStore reports whether the program works in a layer store.
func (s *site) ofStore() bool { return ofStore(s.value(program)) }

func ofStore(program string) bool {
	return strings.HasPrefix(program, "store-") || strings.HasPrefix(program, "overlay-")
}
