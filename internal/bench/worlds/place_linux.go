package worlds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

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

// volumes are file systems that many worlds share, made when they are first wanted.
// They are mounts of this process's own name space, and end with it.
type volumes struct {
	base    string // directory for mount points
	images  string // directory for images
	mounted bool   // this process may mount

	mu   sync.Mutex
	made map[string]*volume
}

// A volume is one of them. One that is to be full is used by one world at a time.
type volume struct {
	once sync.Once
	use  sync.Mutex
	dir  string
	err  error
}

func (v *volumes) of(fileSystem string, small bool) *volume {
	v.mu.Lock()
	key := fmt.Sprint(fileSystem, small)
	if v.made[key] == nil {
		v.made[key] = &volume{dir: filepath.Join(v.base, key)}
	}
	volume := v.made[key]
	v.mu.Unlock()
	volume.once.Do(func() { volume.err = v.mount(fileSystem, small, volume.dir) })
	return volume
}

// mount makes a file system at the new directory dir; overlay and readonly are
// mounted by each world on what is made here.
func (v *volumes) mount(fileSystem string, small bool, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	mib, arguments := 64, []string{}
	switch fileSystem {
	case "here":
		if small {
			return fmt.Errorf("%w: the file system of the directory is not filled", errRefused)
		}
		if !v.mounted {
			return nil
		}
		here := filepath.Join(v.images, "here") // into which every user may go
		if err := errors.Join(os.Mkdir(here, 0o755), os.Chmod(here, 0o755)); err != nil {
			return err
		}
		return refused("bind mount", unix.Mount(here, dir, "", unix.MS_BIND, ""))
	case "tmpfs", "overlay", "readonly":
		options := "mode=755,size=64m"
		if small {
			options = "mode=755,size=8m,nr_inodes=2500"
		}
		return refused("mount tmpfs", unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	case "fuse":
		under := dir + ".under"
		if err := v.mount("tmpfs", small, under); err != nil {
			return err
		}
		output, err := exec.Command("bindfs", under, dir).CombinedOutput()
		return refused("bindfs "+strings.TrimSpace(string(output)), err)
	case "ext4", "nojournal":
		arguments = []string{"mkfs.ext4", "-q", "-F", "-m", "0", "-N", "8000"}
		if small {
			mib, arguments[6] = 16, "2500"
		}
		if fileSystem == "nojournal" {
			arguments = append(arguments, "-O", "^has_journal")
		}
	case "xfs":
		mib, arguments = 320, []string{"mkfs.xfs", "-q"}
	case "btrfs":
		mib, arguments = 160, []string{"mkfs.btrfs", "-q"}
	}
	image := filepath.Join(v.images, filepath.Base(dir)+".img")
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(int64(mib)<<20), f.Close())
	if err == nil {
		if _, err = exec.Command(arguments[0], append(arguments[1:], image)...).Output(); err == nil {
			_, err = exec.Command("mount", "-o", "loop", image, dir).Output()
		}
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	return errors.Join(refused(arguments[0], err), os.Chmod(dir, 0o755))
}

// A site is where one world is played: directories on a volume, and what has to be
// undone.
type site struct {
	World
	dir    string // everything
	store  string // what the program works in, owned by its user
	root   string
	victim string // what is deleted, or the layer that is
	added  string // what is added, or the layer's files

	before  tree            // of the victim
	outside map[string]tree // what nobody may touch
	keep    []string        // mounts that are no obstacle
	held    []*os.File      // what keeps a lock, or reaches what is detached
	undo    []func()        // in the opposite order
	dead    bool            // the victim was put into a stale instance
}

const staleID = "0123456789abcdef0123456789abcdef"

// build makes the site of the world, up to what keeps others from building: the
// obstacles come with obstruct. The error matches errRefused if the kernel or the
// machine will not have it so.
func (v *volumes) build(ctx context.Context, w World, n int) (s *site, err error) {
	s = &site{World: w, outside: map[string]tree{}}
	if strings.HasPrefix(w.value(program), "cli-") && Command == nil {
		return s, refused("this program has no commands", unix.ENOSYS)
	}
	if !v.mounted && !w.is(user, "self") {
		return s, refused("become another user", unix.EPERM)
	}
	if w.is(fileSystem, "here") && w.is(shape, "immutable") {
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

// raze detaches and removes what a world has left.
func raze(dir string) {
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
	for _, dir := range []string{"s", "merged", "lower", "upper", "work", "other", "canary/d", "a", "."} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"canary/f", "canary/d/f"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(name), 0o644); err != nil {
			return err
		}
	}
	s.root, s.victim, s.added = filepath.Join(s.store, "root"), filepath.Join(s.store, "v"), filepath.Join(s.store, "new")
	if s.ofStore() {
		s.added = filepath.Join(s.store, "ls", "vfs", "dir", "added")
	}
	switch {
	case s.is(place, "lower") && !s.is(fileSystem, "overlay"):
		return refused("only overlays have a lower layer", unix.EINVAL)
	case s.is(place, "mount") && s.ofStore():
	case s.is(place, "mount"):
		s.victim = filepath.Join(s.store, "m", "v")
		if s.dead {
			s.root = filepath.Join(s.store, "m", "root")
		}
	}
	return nil
}

// mounts makes the store and the victim, and the mounts that are part of the place:
// an overlay comes after what is in its lower layer.
func (s *site) mounts(ctx context.Context) error {
	if s.is(place, "lower") {
		lower := *s
		lower.store = filepath.Join(s.dir, "lower")
		lower.victim, lower.root = filepath.Join(lower.store, "v"), filepath.Join(lower.store, "root")
		if err := errors.Join(lower.own(lower.store), lower.prepare(ctx)); err != nil {
			return err
		}
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
		if err := s.own(filepath.Dir(s.victim)); err != nil {
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
func (s *site) ofStore() bool { return strings.HasPrefix(s.value(program), "store-") }

// prepare makes the victim: a tree, in an instance whose owner is dead if there is to
// be one, or a layer.
func (s *site) prepare(ctx context.Context) error {
	err := error(nil)
	if s.ofStore() {
		err = s.layers(ctx)
	} else {
		err = s.plant(s.victim)
	}
	if err == nil && s.dead {
		err = s.stale()
	}
	return err
}

func (s *site) own(path string) error { return os.Lchown(path, s.owner(), s.owner()) }

// roots makes the root, where something is to be in it, and gives ids of projects.
func (s *site) roots(context.Context) error {
	if !s.ofStore() && (s.is(place, "project") || !s.is(upstream, "none")) {
		if err := errors.Join(os.MkdirAll(s.root, 0o700), s.own(s.root)); err != nil {
			return err
		}
	}
	if s.is(place, "project") {
		return refused("set a project id", errors.Join(setProject(s.root, 5), setProject(s.victim, 7)))
	}
	return nil
}

// stale moves the victim into an instance that nobody owns; the names are written
// here, not by the library.
func (s *site) stale() error {
	data, lock := filepath.Join(s.root, "temp-dir-"+staleID), filepath.Join(s.root, "lock-"+staleID)
	err := errors.Join(os.MkdirAll(data, 0o700), os.WriteFile(lock, nil, 0o600))
	err = errors.Join(err, s.own(s.root), s.own(data), s.own(lock))
	if err != nil {
		return err
	}
	to := filepath.Join(data, "0-v")
	if err := os.Rename(s.victim, to); err != nil {
		return refused("put the victim into an instance", err)
	}
	s.victim = to
	return nil
}

// layers makes the store with one layer, which store-recover finds in an instance.
func (s *site) layers(ctx context.Context) error {
	at := filepath.Join(s.store, "ls")
	content := filepath.Join(s.store, "content")
	err := errors.Join(os.Mkdir(content, 0o755), os.WriteFile(filepath.Join(content, "f"), []byte("added"), 0o644))
	err = errors.Join(err, s.own(content), s.own(filepath.Join(content, "f")))
	if err != nil {
		return err
	}
	store, err := layerstore.Open(at, layerstore.Make(0o755))
	if err != nil {
		return err
	}
	s.root, s.victim = filepath.Join(at, "tempdirs"), filepath.Join(at, "vfs", "dir", "base")
	if s.is(program, "store-recover") {
		s.victim = filepath.Join(at, "v")
	} else {
		_, err = store.Create(ctx, layerstore.Layer{ID: "base"}, layerstore.Empty())
		err = errors.Join(err, os.Remove(s.victim))
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	if s.is(place, "mount") {
		if err := s.mount(filepath.Join(s.dir, "other"), filepath.Join(at, "vfs", "dir"), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if err := filepath.Walk(at, func(path string, _ os.FileInfo, err error) error { return errors.Join(err, s.own(path)) }); err != nil {
		return err
	}
	if !s.is(shape, "file", "symlink") {
		return s.plant(s.victim)
	}
	if err := errors.Join(os.Mkdir(s.victim, 0o755), s.own(s.victim), s.plant(filepath.Join(s.victim, "x"))); err != nil {
		return err
	}
	s.before, err = look(s.victim)
	return err
}

// neighbours are instances of upstream in the root: a stale one, and one that is
// live as long as this process has its lock.
func (s *site) neighbours(context.Context) error {
	if s.is(upstream, "none") {
		return nil
	}
	data := filepath.Join(s.root, "temp-dir-42")
	for _, step := range []error{
		os.WriteFile(filepath.Join(s.root, "lock-42"), nil, 0o600), os.MkdirAll(filepath.Join(data, "0-x"), 0o700),
		os.WriteFile(filepath.Join(data, "0-x", "f"), []byte("upstream"), 0o600),
		s.own(filepath.Join(s.root, "lock-42")), s.own(data), s.own(filepath.Join(data, "0-x")), s.own(filepath.Join(data, "0-x", "f")),
	} {
		if step != nil {
			return step
		}
	}
	if s.is(upstream, "live") {
		f, err := os.OpenFile(filepath.Join(s.root, "lock-42"), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		s.held = append(s.held, f)
		if err := posixLock(f); err != nil {
			return refused("lock", err)
		}
	}
	return nil
}

// posixLock takes the lock that upstream takes.
func posixLock(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}
