//go:build linux

package layerstore

import (
	"context"
	"fmt"
	"strings"
)

// Look is one look of [Store.Maintain].
func Look(s *Store) (Report, bool, error) { return s.look(context.Background(), false) }

// LookAtAll is one that asks for everything.
func LookAtAll(s *Store) (Report, bool, error) { return s.look(context.Background(), true) }

// ErrPanicked is what is told of a deletion if the one that led it panicked.
var ErrPanicked = errPanicked

// Jittered is the time between two looks of [Store.Maintain].
var Jittered = jittered

// EncodedSize returns the size of a file of metadata with layers whose labels have
// so many bytes, the first flagged of which have the flag.
func EncodedSize(layers, labelBytes, flagged int) int {
	m := &metadata{Version: formatVersion}
	for i := range layers {
		m.Serial++
		m.Layers = append(m.Layers, record{
			Layer:      Layer{ID: fmt.Sprintf("layer%03d", i), Serial: m.Serial, Labels: map[string]string{"k": strings.Repeat("v", labelBytes)}},
			Incomplete: i < flagged,
		})
	}
	text, err := m.encode()
	if err != nil {
		panic(err)
	}
	return len(text)
}

// Movable is what [Store.Create] asks before the work.
var Movable = movable

// OverlayNames are the directories in an overlay's options.
var OverlayNames = overlayNames

// PerhapsUsed tells why an overlay of which the kernel tells no more than that may be
// made of a layer, or "".
func PerhapsUsed(s *Store, id, point string) string {
	u := s.newUsage(nil, []record{{Layer: Layer{ID: id, Driver: "vfs"}}})
	_, why := u.usedBy(&mounted{id: 1, point: point, fstype: "overlay", opaque: true})
	return why
}

// MountOf is the mount that a directory is on, as the table numbers it.
var MountOf = mountOf

// OpenSlice is how long Open recovers.
const OpenSlice = openSlice

// Tables returns the kernel's table of mounts as text has it, and as listmount does:
// what tells one mount from another, and where it is.
func Tables() (text, calls []string, err error) {
	table, err := mountTable()
	if err != nil {
		return nil, nil, err
	}
	listed, err := listMounts()
	for _, m := range table {
		text = append(text, fmt.Sprint(m.id, m.parent, m.root, m.point))
	}
	for _, m := range listed {
		calls = append(calls, fmt.Sprint(m.id, m.parent, m.root, m.point))
	}
	return text, calls, err
}

// IsID is what the owner of a file in an archive has to be.
var IsID = isID

// PathOf returns where a store is.
func PathOf(s *Store) string { return s.path }

// MayBeFlagged is one half of [Store.MaybeDirty].
func MayBeFlagged(s *Store) bool { flagged, _ := s.dirty(); return flagged }

// KnownByText reports whether mounts at the points say what a path is on.
func KnownByText(path string, points ...string) bool {
	u := &usage{}
	for _, point := range points {
		u.table = append(u.table, mounted{point: point})
	}
	_, known := u.resolveByText(path)
	return known
}
