package layerstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// Create makes a layer of the content, and returns it.
//
// The content is built in an instance, without any lock. Then, under the store
// lock (spec: Create, TakeStoreLock, Flag, Commit, Complete, DropStoreLock), come
// two saves of the metadata and one renameat2 for each part. The layer exists
// when its flag is gone: all of it, or nothing. A crash leaves a stale instance,
// or a flagged layer that a later operation or recovery removes.
//
// Failures have no effect, except one: if only the last sync of the metadata
// failed, the layer is there and may not be after power loss ([MayHaveEffect]).
// ctx cancels it up to the store lock; what was built is then left for recovery.
//
// Where what is built could not be put in place, because the layers lie behind
// another mount than the root or have a project id of their own, that is found out
// before the work: [tempdir.ErrCrossDevice].
//
// Errors match [ErrBadID], [ErrLayerExists], [ErrNoParent], [ErrBusy],
// [ErrUnrecorded], [ErrBadContent], [ErrTooLarge], [ErrNoImageStore] or an errno.
func (s *Store) Create(ctx context.Context, layer Layer, content Content) (Layer, error) {
	const op = "create"
	refuse := func(kind, err error) (Layer, error) {
		return Layer{}, &Error{Op: op, Layer: layer.ID, Effect: NoEffect, Kind: kind, Err: err}
	}
	if why := checkID(layer.ID); why != "" {
		return refuse(ErrBadID, errors.New(why))
	}
	driver := s.options.driver
	r := record{
		Layer: Layer{ID: layer.ID, Parent: layer.Parent, Image: layer.Image, Labels: maps.Clone(layer.Labels),
			Driver: driver.Name(), Created: time.Now().UTC()},
		Short: drawShort(),
	}
	g := s.graphOf(&r)
	if g == nil {
		return refuse(ErrNoImageStore, nil)
	}
	var parents []record // nearest first
	err := s.shared(ctx, op, r.ID, func(m *metadata) (err error) {
		parents, err = s.checkAddition(m, &r, false)
		return err
	})
	if err != nil {
		return Layer{}, err
	}
	for _, dir := range driver.Directories() {
		path := filepath.Join(g.path, dir)
		if _, err := s.makeDirectory(path, 0o700); err != nil {
			return Layer{}, &Error{Op: op, Layer: layer.ID, Path: path, Effect: NoEffect, Err: err}
		}
	}
	if g.root == nil {
		return refuse(nil, unix.EROFS)
	}
	for _, part := range driver.Parts(r.placed()) {
		if dir := filepath.Dir(filepath.Join(g.path, part)); !movable(g.root.Path(), dir) {
			return Layer{}, &Error{Op: op, Layer: layer.ID, Path: dir, Effect: NoEffect,
				Err: fmt.Errorf("%w, which is %s", tempdir.ErrCrossDevice, quote(g.root.Path()))}
		}
	}
	dir, err := g.root.Create()
	if err != nil {
		return refuse(nil, err)
	}
	additions, err := s.build(ctx, dir, &r, parents, content)
	if err == nil && s.options.sync {
		if err = s.disk.SyncContent(g.root.Path()); err != nil {
			err = &Error{Op: op, Layer: r.ID, Path: g.root.Path(), Effect: NoEffect, Err: err}
		}
	}
	flagged := false
	if err == nil {
		add := func(h *held, m *metadata) error {
			now, err := s.checkAddition(m, &r, true)
			if err != nil {
				return err
			}
			if len(parents) > 0 && !parents[0].same(&now[0]) {
				return &Error{Op: op, Layer: r.ID, Effect: NoEffect, Kind: ErrNoParent, Err: errors.New("another layer has its id now")}
			}
			flagged, err = s.commit(h, m, g, &r, additions)
			return err
		}
		err = s.exclusively(ctx, op, r.ID, add)
		if errors.Is(err, ErrBusy) {
			// What was left of an earlier layer could not be moved aside. Who wants
			// its id removes it where it is, as recovery would, without the lock; and
			// what was left of its descendants, since its record stays as long as theirs.
			if done, _ := s.finishFlagged(ctx, op, func(m *metadata, f *record) bool { return m.belongs(f, r.ID) }); len(done) > 0 {
				err = s.exclusively(ctx, op, r.ID, add)
			}
		}
	}
	// Empty by now, or what was built for nothing. Without the store lock.
	if closeErr := dir.Close(ctx); err != nil && closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	if err != nil && flagged && EffectOf(err) == NoEffect {
		// Its own alone. If that fails, somebody else will.
		s.finishFlagged(context.WithoutCancel(ctx), op, func(_ *metadata, f *record) bool { return r.same(f) })
	}
	if err != nil {
		return Layer{}, err
	}
	return s.view(&r), nil
}

// mountLooks bounds how often it is looked again whether two directories are on one
// mount: one above both may have come or gone between the look at one and the other.
const mountLooks = 10

// movable reports whether something made in the root can be renamed into the
// directory: not if that lies behind another mount, or if it gives what is in it
// another project id. What cannot be found out, the rename will say.
func movable(root, dir string) bool {
	for looks := 0; ; looks++ {
		from, known := mountOf(root)
		to, alsoKnown := mountOf(dir)
		if !known || !alsoKnown || from == to {
			break
		}
		if looks == mountLooks {
			return false
		}
	}
	if same, known := oneDevice(root, dir); known && !same {
		return false
	}
	made, _ := inheritedProject(root)
	wanted, inherits := inheritedProject(dir)
	return !inherits || made == wanted
}

// inheritedProject returns the project id that files get which are made in the
// directory, and whether it is the directory's.
func inheritedProject(dir string) (project uint32, inherits bool) {
	const (
		read           = uint(unix.FS_IOC_GETFLAGS) & 0xe0000000 // the bits that say so
		getAttributes  = read | 28<<16 | 'X'<<8 | 31             // FS_IOC_FSGETXATTR
		projectInherit = 0x200                                   // FS_XFLAG_PROJINHERIT
	)
	var attributes struct {
		flags, _, _, project, _ uint32
		_                       [8]byte
	}
	err := kernel.WithDescriptor(dir, func(fd int) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(getAttributes), uintptr(unsafe.Pointer(&attributes)))
		return errnoError(errno)
	})
	if err != nil || attributes.flags&projectInherit == 0 {
		return 0, false
	}
	return attributes.project, true
}

// checkAddition returns the parents of a layer to be made, or why it cannot be.
// finished says that what is flagged was finished, if that was possible.
func (s *Store) checkAddition(m *metadata, r *record, finished bool) ([]record, error) {
	refuse := func(kind, err error) ([]record, error) {
		return nil, &Error{Op: "create", Layer: r.ID, Effect: NoEffect, Kind: kind, Err: err}
	}
	if there := m.find(r.ID); there != nil {
		if !there.Incomplete {
			return refuse(ErrLayerExists, nil)
		}
		if claimed, err := s.claimed(there); finished || claimed {
			return refuse(ErrBusy, err)
		}
	}
	var parents []record
	for id := r.Parent; id != ""; {
		parent := m.layer(id)
		if parent == nil {
			return refuse(ErrNoParent, fmt.Errorf("layer %s", quote(id)))
		}
		if parent.Driver != r.Driver {
			return refuse(ErrNoParent, fmt.Errorf("layer %s has layout %s, and this would have %s", id, parent.Driver, r.Driver))
		}
		parents = append(parents, *parent)
		id = parent.Parent
	}
	return parents, nil
}

// build makes the parts of the layer in the instance.
func (s *Store) build(ctx context.Context, dir *tempdir.Dir, r *record, parents []record, content Content) ([]*tempdir.Addition, error) {
	driver, g := r.driver(), s.graphOf(r)
	var additions []*tempdir.Addition
	var staged []string
	for range driver.Parts(r.placed()) {
		addition, err := dir.StageAddition()
		if err != nil {
			return nil, &Error{Op: "create", Layer: r.ID, Effect: NoEffect, Err: err}
		}
		additions = append(additions, addition)
		staged = append(staged, addition.Path())
	}
	var lower []Placed
	for i := range parents {
		lower = append(lower, parents[i].placed())
	}
	err := driver.Build(r.placed(), staged, lower, func(path string) error {
		b, err := newBuilder(ctx, path, s.options.limits, !driver.Inherits())
		if err != nil {
			return err
		}
		defer b.close()
		if driver.Inherits() && len(parents) > 0 {
			parent := s.graphOf(&parents[0])
			if parent == nil {
				return ErrNoImageStore
			}
			if err := b.inherit(filepath.Join(parent.path, driver.Files(parents[0].placed()))); err != nil {
				return err
			}
		}
		return b.fill(content)
	})
	if err == nil {
		return additions, nil
	}
	failure := &Error{Op: "create", Layer: r.ID, Path: g.root.Path(), Effect: NoEffect, Err: err}
	if len(parents) > 0 && errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrBadContent) {
		failure.Kind = ErrNoParent // deleted while it was copied
	}
	return nil, failure
}

// commit puts the parts in place under the store lock. flagged: a record was
// saved, and is still there if it failed.
func (s *Store) commit(h *held, m *metadata, g *graph, r *record, additions []*tempdir.Addition) (flagged bool, err error) {
	const op = "create"
	refuse := func(path string, kind, err error) error {
		return &Error{Op: op, Layer: r.ID, Path: path, Effect: NoEffect, Kind: kind, Err: err}
	}
	parts := r.driver().Parts(r.placed())
	for _, part := range parts {
		// Before the flag: a flagged record would lead others to remove what is
		// in the way, and it is not this layer's.
		path := filepath.Join(g.path, part)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return false, refuse(path, ErrUnrecorded, err)
		}
	}
	with := m.copy()
	with.Serial++
	r.Serial, r.Incomplete = with.Serial, true
	with.Layers = append(with.Layers, *r)
	if err := s.save(op, h, with); err != nil { // spec: Flag
		// Flagged or not, it is no layer.
		return EffectOf(err) == MayHaveEffect, refuse("", nil, err)
	}
	for i, part := range slices.Backward(parts) {
		path := filepath.Join(g.path, part)
		err := additions[i].Commit(path) // spec: Commit
		if errors.Is(err, fs.ErrExist) && i == len(parts)-1 {
			// Somebody put it there since we looked. Nothing of the layer is in
			// place, and what is there must not be taken for it.
			without := m.copy()
			without.Serial = with.Serial
			return false, errors.Join(refuse(path, ErrUnrecorded, err), s.save(op, h, without))
		}
		if err != nil {
			return true, refuse(path, nil, err)
		}
		// The record must not be there without the layer.
		sync := func() error { return s.disk.SyncDirectory(filepath.Dir(path)) }
		if s.orders(g, filepath.Dir(path)) {
			h.before = append(h.before, sync) // the save that comes makes it durable, by order
		} else if err := sync(); err != nil {
			return true, refuse(path, nil, err)
		}
	}
	complete := with.copy()
	r.Incomplete = false
	complete.Layers[len(complete.Layers)-1] = *r
	return true, s.save(op, h, complete) // spec: Complete
}
