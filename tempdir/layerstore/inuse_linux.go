package layerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// checkMounts refuses layers that something mounted in this mount namespace uses:
// a mount at or below one, a mount of a part of one elsewhere, an overlay that is
// made of one. It decides by what the kernel proves, not by how a name is
// written: a directory is found by its file system and its path there, or by
// device and inode. A name in the table that leads nowhere may mean anything, and
// refuses too.
//
// It is made before the store lock is taken. A mount that comes later, or that
// another namespace has, is met by the removal, which does not cross it. What a
// server in user space shows is in no table: counts alone protect it.
func (s *Store) checkMounts(op string, layers []record) error {
	if len(layers) == 0 || s.options.countsOnly {
		return nil
	}
	table, err := mountTable()
	if err != nil {
		return &Error{Op: op, Layer: layers[0].ID, Path: mountsFile, Effect: NoEffect, Err: err}
	}
	u := s.newUsage(table, layers)
	for i := range table {
		if v, why := u.usedBy(&table[i]); v != nil {
			return &Error{Op: op, Layer: v.layer.ID, Path: table[i].point, Effect: NoEffect, Kind: ErrMounted, Err: fmt.Errorf("by the kernel's table: %s", why)}
		}
	}
	return nil
}

// A victim is one part of a layer that is to be deleted.
type victim struct {
	layer   *record
	path    string // without symbolic links, but perhaps the last element
	place   place
	placed  bool // place is known
	inode   inode
	stacked map[uint64]bool // the mounts that it lies on, one below the other
}

// An inode is compared, never kept: it identifies a directory for the moment.
type inode struct{ device, number uint64 }

// A usage looks for what uses the victims.
type usage struct {
	table   []mounted
	byID    map[uint64]*mounted
	victims []victim
	bases   []string        // of relative names: the store's own directories
	outside map[inode]bool  // directories that are known not to lie in a victim
	seen    map[string]bool // paths that lead to such, which many overlays share
}

func (s *Store) newUsage(table []mounted, layers []record) *usage {
	u := &usage{table: table, byID: map[uint64]*mounted{}, outside: map[inode]bool{}, seen: map[string]bool{}}
	for i := range table {
		u.byID[table[i].id] = &table[i]
	}
	graphs := map[*graph]bool{}
	for i := range layers {
		r := &layers[i]
		g := s.graphOf(r)
		graphs[g] = true
		for _, part := range r.driver().Parts(r.placed()) {
			if v, ok := u.newVictim(r, filepath.Join(g.path, part)); ok {
				u.victims = append(u.victims, v)
				u.bases = append(u.bases, v.path)
			}
		}
		u.bases = append(u.bases, filepath.Join(g.path, r.driver().Files(r.placed())))
	}
	for g := range graphs {
		u.bases = append(u.bases, g.path)
		for _, driver := range drivers {
			for _, dir := range driver.Directories() {
				u.bases = append(u.bases, filepath.Join(g.path, dir), filepath.Join(g.path, filepath.Dir(dir)))
			}
		}
	}
	return u
}

// newVictim finds out where the part of a layer is. ok is false if its directory
// is not there.
func (u *usage) newVictim(r *record, path string) (v victim, ok bool) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return v, false
	}
	v = victim{layer: r, path: filepath.Join(dir, filepath.Base(path)), stacked: map[uint64]bool{}}
	if id, known := mountOf(dir); known {
		if m := u.byID[id]; m != nil {
			v.place, v.placed = m.place(v.path)
		}
		for m := u.byID[id]; m != nil && !v.stacked[m.id]; m = u.byID[m.parent] {
			v.stacked[m.id] = true
		}
	}
	var s unix.Stat_t
	if unix.Lstat(v.path, &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFDIR {
		v.inode = inode{uint64(s.Dev), s.Ino}
	}
	return v, true
}

// usedBy returns a victim that the mount uses, and how.
func (u *usage) usedBy(m *mounted) (*victim, string) {
	for i := range u.victims {
		v := &u.victims[i]
		if below(m.point, v.path) {
			return v, "it is mounted there"
		}
		if parent := u.byID[m.parent]; parent != nil && v.placed {
			if at, ok := parent.place(m.point); ok && at.within(v.place) {
				return v, "it is mounted there, under another name"
			}
		}
		part := place{m.device, m.root}
		if v.placed && part.within(v.place) {
			return v, "what is mounted there is a part of the layer"
		}
		if !v.placed && v.named(m.root) {
			return v, fmt.Sprintf("what is mounted there is %s, which may be a part of the layer", quote(m.root))
		}
	}
	if m.fstype == "overlay" {
		return u.usedByOverlay(m)
	}
	// Layered file systems, in the kernel or in user space, may tell in their
	// source what they show.
	for _, name := range strings.Split(m.source, ":") {
		if filepath.IsAbs(name) && !below(name, "/dev") {
			if v, _ := u.resolve(name); v != nil {
				return v, fmt.Sprintf("what is mounted there shows %s", quote(name))
			}
		}
	}
	return nil, ""
}

// usedByOverlay is usedBy for the directories that an overlay is made of.
func (u *usage) usedByOverlay(m *mounted) (*victim, string) {
	if m.opaque {
		return u.perhaps(m, "", "the kernel does not tell what the overlay there is made of")
	}
	names := overlayNames(m.options)
	bases := ancestors(m.point)
	for _, variants := range names {
		for _, name := range variants {
			if filepath.IsAbs(name) {
				bases = append(bases, ancestors(name)...)
			}
		}
	}
	slices.Sort(bases)
	bases = slices.Compact(bases)
	var found []string
	for _, variants := range names {
		before := len(found)
		for _, name := range variants {
			v, paths := u.resolveIn(bases, name)
			if v != nil {
				return v, fmt.Sprintf("the overlay there uses %s", quote(name))
			}
			found = append(found, paths...)
		}
		if len(found) == before {
			if v, why := u.perhaps(m, variants[0], fmt.Sprintf("the overlay there uses %s, which leads nowhere here and may be the layer", quote(variants[0]))); v != nil {
				return v, why
			}
		}
	}
	if name := stranger(m, found); name != "" {
		return u.perhaps(m, "", fmt.Sprintf("the overlay there shows %s, which is nowhere where its names lead now, and may be of the layer", quote(name)))
	}
	return nil, ""
}

// stranger returns a name at the top of the overlay that none of the directories
// has: names in the options may have led elsewhere when it was mounted, through a
// mount that is detached by now or a link that was changed. "": there is none, or
// nobody can tell.
func stranger(m *mounted, dirs []string) string {
	top, err := os.Open(m.point)
	if err != nil {
		return ""
	}
	defer top.Close()
	if id, known := mountOf(m.point); !known || id != m.id {
		return "" // something is mounted over it
	}
	names, err := top.Readdirnames(-1)
	if err != nil {
		return ""
	}
	for _, name := range names {
		if !slices.ContainsFunc(dirs, func(dir string) bool {
			_, err := os.Lstat(filepath.Join(dir, name))
			return !errors.Is(err, fs.ErrNotExist)
		}) {
			if _, err := os.Lstat(filepath.Join(m.point, name)); err == nil { // it is still there
				return name
			}
		}
	}
	return ""
}

// perhaps returns a victim that the overlay may use, for the reason why. An overlay
// that the store itself lies on is made of other directories than the store's, unless
// the name says so.
func (u *usage) perhaps(m *mounted, name, why string) (*victim, string) {
	for i := range u.victims {
		v := &u.victims[i]
		on := v.stacked[m.id] || !v.placed && below(v.path, m.point)
		if !on || v.named(name) {
			return v, why
		}
	}
	return nil, ""
}

// named reports whether an element of the path has the victim's own name.
func (v *victim) named(path string) bool {
	return slices.Contains(strings.Split(path, "/"), filepath.Base(v.path))
}

// resolveIn looks for a name of an overlay from wherever it may have been meant, and
// returns the victim that it leads to, or all paths at which there is something else.
func (u *usage) resolveIn(bases []string, name string) (v *victim, found []string) {
	if filepath.IsAbs(name) {
		v, known := u.resolve(name)
		switch at := filepath.Clean(name); {
		case v != nil || below(at, "/proc") || below(at, "/dev/fd"):
			return v, nil // a descriptor of the process that mounted it, perhaps
		case known:
			return nil, []string{at}
		} // or the process that mounted it had another root
	}
	number := strings.Trim(name, "0123456789") == "" // of a descriptor, perhaps
	for n, base := range slices.Concat(bases, u.bases) {
		path := base + "/" + name
		v, known := u.resolve(path)
		if v != nil {
			return v, nil
		}
		if known && (n < len(bases) || !number) {
			found = append(found, path)
		}
	}
	return nil, found
}

// resolve returns the victim at or below which the path leads, if there is one.
// known is false if it cannot be told where it leads.
func (u *usage) resolve(path string) (v *victim, known bool) {
	if u.seen[path] {
		return nil, true
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
	case unix.EACCES, unix.EPERM, unix.ENOTCONN, unix.ESTALE, unix.EIO, unix.ETIMEDOUT, unix.EHOSTDOWN:
		return u.resolveByText(path)
	default:
		return nil, false
	}
	defer func() { unix.Close(fd) }()
	var seen []inode
	for {
		var s unix.Stat_t
		if unix.Fstat(fd, &s) != nil {
			return nil, false
		}
		at := inode{uint64(s.Dev), s.Ino}
		for i := range u.victims {
			if u.victims[i].inode == at {
				return &u.victims[i], true
			}
		}
		if u.outside[at] || len(seen) > 0 && seen[len(seen)-1] == at {
			break // known, or the root
		}
		seen = append(seen, at)
		parent, err := unix.Openat(fd, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == unix.EACCES {
			return u.resolveByText(path)
		}
		if err != nil {
			return nil, false
		}
		unix.Close(fd)
		fd = parent
	}
	for _, at := range seen {
		u.outside[at] = true
	}
	u.seen[path] = true
	return nil, true
}

// resolveByText is resolve where this user may not look, or nobody can: the mount that
// the path seems to be on says which file system it is in. It is what another user's
// engine has in the table, or one whose server died.
func (u *usage) resolveByText(path string) (*victim, bool) {
	path = filepath.Clean(path)
	var on *mounted
	for i := range u.table {
		if m := &u.table[i]; below(path, m.point) && (on == nil || len(m.point) >= len(on.point)) {
			on = m
		}
	}
	if on == nil {
		return nil, false
	}
	at, _ := on.place(path)
	for i := range u.victims {
		if v := &u.victims[i]; v.named(path) || v.placed && at.within(v.place) {
			return v, true
		}
	}
	return nil, true
}

// ancestors returns the path and the directories above it.
func ancestors(path string) []string {
	all := []string{path}
	for path = filepath.Clean(path); path != "/" && path != "."; {
		path = filepath.Dir(path)
		all = append(all, path)
	}
	return all
}

// overlayNames returns the names of the directories in an overlay's options, each
// in the ways in which it can be read: kernels differ in what they show of the
// backslashes with which a colon in a name is written.
func overlayNames(options string) [][]string {
	var names [][]string
	for _, option := range strings.Split(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		values := []string{value}
		switch name {
		case "lowerdir":
			values = splitLowers(value)
		case "upperdir", "workdir", "lowerdir+", "datadir+":
		default:
			continue
		}
		for _, value := range values {
			variants := []string{unescape(value)}
			if plain := withoutBackslashes(variants[0]); plain != variants[0] {
				variants = append(variants, plain)
			}
			if variants[0] != "" {
				names = append(names, variants)
			}
		}
	}
	return names
}

// splitLowers splits at the colons that are not written with a backslash, which
// the kernel shows as \134; a colon shown as an escape is part of a name.
func splitLowers(value string) []string {
	var all []string
	start := 0
	for i := 0; i < len(value); i++ {
		switch c, escaped := octal(value[i:]); {
		case escaped && c == '\\':
			i += 4 // what comes next is taken as it is
			if _, again := octal(value[min(i, len(value)):]); again {
				i += 3
			}
		case escaped:
			i += 3
		case value[i] == ':':
			all = append(all, value[start:i])
			start = i + 1
		}
	}
	return append(all, value[start:])
}

// withoutBackslashes undoes what overlays want before a colon or a backslash.
func withoutBackslashes(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		b.WriteByte(name[i])
	}
	return b.String()
}
