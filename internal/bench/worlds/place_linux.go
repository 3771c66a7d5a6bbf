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
	"time"

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
			options = "mode=755,size=8m,nr_inodes=2000"
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
			mib, arguments[6] = 16, "1200"
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
	for _, dir := range []string{"s", "merged", "lower", "upper", "work", "other", "canary/d", "a", "u", "lowest", "."} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"canary/f", "canary/d/f", "uf"} {
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

// prepare makes the victim: a tree, in an instance whose owner is dead if there is to
// be one, or a layer.
func (s *site) prepare(ctx context.Context) error {
	err := error(nil)
	if s.ofStore() {
		err = s.layers(ctx)
	} else if err = errors.Join(os.MkdirAll(filepath.Dir(s.victim), 0o755), s.own(filepath.Dir(s.victim))); err == nil {
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
	if !s.ofStore() && !s.plainRoot() {
		if err := errors.Join(os.MkdirAll(s.root, 0o700), s.own(s.root)); err != nil {
			return err
		}
	}
	if s.is(place, "project") {
		return refused("set a project id", errors.Join(setProject(s.root, 5), setProject(s.victim, 7)))
	}
	return nil
}

// plainRoot reports whether the program may make the root.
func (s *site) plainRoot() bool {
	return !s.is(place, "project") && s.is(upstream, "none") && s.is(rootIs, "own")
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
	if s.is(shape, "closed") {
		return os.Chmod(data, 0)
	}
	return nil
}

// layers makes the store with two layers, one of which is the victim; store-recover finds
// that in an instance, and another one flagged. There is a second store, which has
// nothing that a reader does not need.
func (s *site) layers(ctx context.Context) error {
	at, content := filepath.Join(s.store, "ls"), filepath.Join(s.store, "content")
	err := os.Mkdir(content, 0o755)
	for name, mode := range map[string]os.FileMode{"f": 0o644, "program": 0o755 | os.ModeSetuid, "secret": 0o400} {
		path := filepath.Join(content, name)
		err = errors.Join(err, os.WriteFile(path, []byte("added"), 0o600), s.own(path), os.Chmod(path, mode), os.Chtimes(path, longAgo, longAgo))
	}
	if err = errors.Join(err, s.own(content), os.Chmod(content, closedTop)); err != nil {
		return err
	}
	if s.content, err = look(content); err != nil {
		return err
	}
	s.outside[content] = s.content
	if s.is(program, "store-list") {
		if err := s.makeStore(ctx, filepath.Join(s.store, "bare"), content, "kept"); err != nil {
			return err
		}
		err := errors.Join(os.Remove(filepath.Join(s.store, "bare", "store.lock")), os.RemoveAll(filepath.Join(s.store, "bare", "tempdirs")))
		if err != nil {
			return err
		}
	}
	ids := []string{"kept", "base"}
	if s.is(program, "store-recover") {
		ids[1] = "flagged"
	}
	if err := s.makeStore(ctx, at, content, ids...); err != nil {
		return err
	}
	s.root, s.victim = filepath.Join(at, "tempdirs"), s.layer("base")
	if s.dead {
		s.victim = filepath.Join(at, "v")
	}
	if s.is(program, "store-recover") {
		file := filepath.Join(at, "layers.json")
		text, err := os.ReadFile(file)
		text = []byte(strings.Replace(string(text), `"id":"flagged",`, `"id":"flagged","incomplete":true,`, 1))
		if err = errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
			return err
		}
	}
	if s.is(place, "mount") {
		if err := s.mount(filepath.Join(s.dir, "other"), s.home(), "", unix.MS_BIND, ""); err != nil {
			return err
		}
		err := os.MkdirAll(s.layer("kept"), 0o755)
		err = errors.Join(err, os.WriteFile(filepath.Join(s.layer("kept"), "f"), []byte("added"), 0o644))
		if layout(s.value(program)) == "overlay" {
			err = errors.Join(err, os.Mkdir(filepath.Join(s.home(), "l"), 0o755))
		}
		if err != nil {
			return err
		}
	}
	raze(s.victim)
	if err := os.MkdirAll(filepath.Dir(s.victim), 0o755); err != nil {
		return err
	}
	if err := s.ownAll(at); err != nil {
		return err
	}
	if s.is(shape, "file", "symlink") {
		err = errors.Join(os.Mkdir(s.victim, 0o755), s.own(s.victim), s.plant(filepath.Join(s.victim, "x")))
		if err == nil {
			s.before, err = look(s.victim)
		}
	} else {
		err = s.plant(s.victim)
	}
	if err == nil {
		s.outside[s.layer("kept")], err = look(s.layer("kept"))
	}
	return err
}

// longAgo is a time that nothing has by chance.
var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// makeStore makes a layer store with layers of the content.
func (s *site) makeStore(ctx context.Context, at, content string, ids ...string) error {
	store, err := layerstore.Open(at, layerstore.Make(0o755), layerstore.WithDriver(layouts[layout(s.value(program))]))
	if err != nil {
		return err
	}
	for _, id := range ids {
		_, made := store.Create(ctx, layerstore.Layer{ID: id}, layerstore.Directory(content))
		err = errors.Join(err, made)
	}
	if err == nil { // the metadata grows by an operation that leaves it as it will be
		err = store.Save(ctx, "kept", labels)
	}
	if s.is(use, "held") && err == nil && len(ids) > 1 && ids[1] == "base" {
		_, err = store.Mount(ctx, "base")
	}
	return errors.Join(err, store.Close(), s.ownAll(at))
}

// ownAll gives everything that is there to the owner of the store, with its mode.
func (s *site) ownAll(dir string) error {
	return filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			err = s.own(path)
		}
		if err == nil && info.Mode()&(os.ModeSetuid|os.ModeSymlink) == os.ModeSetuid {
			err = os.Chmod(path, info.Mode())
		}
		return err
	})
}

// neighbours are instances in the root that are not the program's: of upstream, a stale
// one, and one that is live as long as this process has its lock; and those that the
// world's root has.
func (s *site) neighbours(context.Context) error {
	if err := s.strangers(); err != nil || s.is(upstream, "none") {
		return err
	}
	if err := s.instance("42", s.owner(), true); err != nil {
		return err
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

// instance makes one of a user, with data in it.
func (s *site) instance(id string, owner int, lock bool) (err error) {
	data := filepath.Join(s.root, "temp-dir-"+id)
	paths := []string{data, filepath.Join(data, "0-x"), filepath.Join(data, "0-x", "f")}
	if lock {
		paths = append(paths, filepath.Join(s.root, "lock-"+id))
		err = os.WriteFile(paths[3], nil, 0o600)
	}
	err = errors.Join(err, os.MkdirAll(paths[1], 0o700), os.WriteFile(paths[2], []byte("of somebody"), 0o600))
	for _, path := range paths {
		if err == nil {
			err = os.Lchown(path, owner, owner)
		}
	}
	return err
}

// strangers makes of the root what the world's is.
func (s *site) strangers() error {
	switch s.value(rootIs) {
	case "others":
		err := errors.Join(os.Chmod(s.root, 0o777|os.ModeSticky), s.instance(strangerID, stranger, true), s.instance(orphanID, stranger, false))
		if s.is(program, "cli-rm") { // what rm would have in this directory, as whoever it is
			for _, uid := range []int{0, s.owner()} {
				squatted := filepath.Join(filepath.Dir(s.victim), fmt.Sprint(".afterlock-", uid))
				if err == nil && !exists(squatted) {
					err = errors.Join(os.Mkdir(squatted, 0o755), os.Lchown(squatted, stranger, stranger))
				}
			}
		}
		if err != nil || s.is(user, "self") || s.is(company, "recoverer") { // who is root
			return err
		}
		for _, id := range []string{strangerID, orphanID} {
			data := filepath.Join(s.root, "temp-dir-"+id)
			if s.outside[data], err = look(data); err != nil {
				return err
			}
		}
	case "exposed":
		return os.Chmod(s.root, 0o707)
	case "orphaned":
		if err := s.instance(liveID, s.owner(), false); err != nil {
			return err
		}
		data := filepath.Join(s.root, "temp-dir-"+liveID)
		var err error
		s.outside[data], err = look(data)
		return err
	}
	return nil
}

// posixLock takes the lock that upstream takes.
func posixLock(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}
