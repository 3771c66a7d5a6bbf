//go:build linux

package tempdir

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// A mending changes what keeps a victim from being moved, and changes it back. It
// costs nothing until a rename was refused.
type mending struct {
	root         *Root
	parent, name string // of the victim; parent ends with a slash
	path         string
	mode         *fs.FileMode // the victim's, if it was changed
	flags        []unflagged  // those that were cleared
	triedFlags   bool
	why          error // why something could not be changed
}

// An unflagged is a place whose flags were cleared.
type unflagged struct {
	dir    int // of a descriptor of its own
	name   string
	flags  int
	parent bool // of the victim: they are set again in any case
}

func (r *Root) newMending(parent, name, path string) *mending {
	return &mending{root: r, parent: parent, name: name, path: path}
}

// mend reports whether something was changed that may have been the reason.
func (m *mending) mend(err error) bool {
	if !is("StageDeletion", err, mended) {
		return false
	}
	switch err {
	case unix.EACCES:
		return m.mode == nil && m.why == nil && m.makeWritable()
	case unix.EPERM, unix.EROFS:
		tried := m.triedFlags
		m.triedFlags = true
		names := []string{m.name, "."}
		if err == unix.EROFS {
			names = names[:1] // a victim can be a subvolume; one that it is in stays as it is
		}
		return m.root.options.clearFlags && !tried && m.clearFlags(names)
	}
	return false
}

// makeWritable gives the owner of a directory write permission: a move writes its "..".
func (m *mending) makeWritable() bool {
	k := m.root.kernel
	a, err := k.StatName(unix.AT_FDCWD, m.path)
	if err != nil || a.Mode != fs.ModeDir || a.Permissions&0o200 != 0 {
		return false
	}
	if err := k.ChangeMode(unix.AT_FDCWD, m.path, a.Permissions|0o200); err != nil {
		m.why = fmt.Errorf("the mode of %s cannot be changed: %w", quotePath(m.path), err)
		return false
	}
	m.mode = &a.Permissions
	return true
}

// clearFlags clears the flags of the names in the victim's parent: the victim, and ".".
func (m *mending) clearFlags(names []string) bool {
	for _, name := range names {
		dir, err := m.root.kernel.OpenParent(m.parent + ".")
		if err != nil {
			m.why = err
			return false
		}
		cleared := 0
		a, err := m.root.kernel.StatName(dir, name)
		if err == nil && a.MayHaveFlags() {
			cleared, err = m.root.kernel.ClearFlags(dir, name)
		}
		if err != nil {
			m.why = fmt.Errorf("the flags of %s cannot be cleared: %w", quotePath(m.parent+name), err)
		}
		if cleared == 0 {
			m.root.kernel.Close(dir)
			continue
		}
		m.flags = append(m.flags, unflagged{dir, name, cleared, name == "."})
	}
	return len(m.flags) > 0
}

// end changes back what has to be: everything, if the victim was not moved. What
// cannot be is told with the refusal.
func (m *mending) end(moved bool) {
	k := m.root.kernel
	if m.mode != nil && !moved {
		m.unrestored("mode", k.ChangeMode(unix.AT_FDCWD, m.path, *m.mode))
	}
	for _, f := range m.flags {
		if !moved || f.parent {
			m.unrestored("flags", k.SetFlags(f.dir, f.name, f.flags))
		}
		k.Close(f.dir)
	}
}

func (m *mending) unrestored(what string, err error) {
	if err != nil {
		m.why = errors.Join(m.why, fmt.Errorf("its %s, changed for this, cannot be changed back: %w", what, err))
	}
}

// mendPermissions makes the level's directory writable, once. Nobody needs its
// mode any more. Modes of files are left alone: a file may have other names.
func (v *removal) mendPermissions(top int) (tried bool, why error) {
	if top < 0 || v.levels[top].mended {
		return false, nil // the root is not ours to change
	}
	v.levels[top].mended = true
	if err := v.kernel.ChangeMode(v.dir(top-1), v.levels[top].name, traversable); err != nil {
		why = v.unchanged("mode", top-1, v.levels[top].name, err)
	}
	return true, why
}

// detach detaches what is mounted at name in the level, if the caller of Open
// asked for that: the top of a stack first. Nothing behind it is touched.
func (v *removal) detach(top int, name string) (tried bool, why error) {
	if !v.root.options.detachMounts {
		return false, nil
	}
	for range mountsAtAName {
		if err := v.kernel.Detach(v.dir(top), name); err == unix.EINVAL {
			break // no mount is left
		} else if err != nil {
			return true, v.unchanged("mount", top, name, err)
		}
		tried = true
	}
	return tried, nil
}

// unchanged says that something of a name could not be changed.
func (v *removal) unchanged(what string, top int, name string, err error) error {
	return fmt.Errorf("the %s of %s cannot be changed: %w", what, quotePath(v.path(top, name)), err)
}

// clearFlags clears the flags of the places that have any, if the caller of Open
// asked for that, and reports whether it cleared one.
func (r *Root) clearFlags(places ...place) (cleared bool) {
	if !r.options.clearFlags {
		return false
	}
	for _, p := range places {
		if a, err := r.kernel.StatName(p.dir, p.name); err == nil && a.MayHaveFlags() {
			_, err := r.kernel.ClearFlags(p.dir, p.name)
			cleared = cleared || err == nil
		}
	}
	return cleared
}
