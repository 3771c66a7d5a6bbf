package worlds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

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
	closed := store.Close()
	if err = cmp.Or(err, closed); err == nil && s.is(fileSystem, "fuse") {
		err = s.unhidden(ctx, at)
	}
	return cmp.Or(err, s.ownAll(at)) // the first alone says whether this world can be built
}

// unhidden waits until libfuse has removed what it renames while somebody has it open.
func (s *site) unhidden(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var hidden []string
	if !settled(ctx, func() bool {
		top, _ := filepath.Glob(filepath.Join(dir, ".fuse_hidden*"))
		below, _ := filepath.Glob(filepath.Join(dir, "*", ".fuse_hidden*"))
		hidden = append(top, below...)
		return len(hidden) == 0
	}) {
		return fmt.Errorf("removed, and still open: %q", hidden)
	}
	return nil
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
