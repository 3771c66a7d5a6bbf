package layerstore

import (
	"os"
	"path/filepath"
	"strings"
)

// A Driver is a layout on disk. It says where things are and builds new ones; it
// neither moves nor removes anything, so that there is one path of removal,
// whatever the layout, and its immediate and deferred forms are the same calls.
type Driver interface {
	// Name is the name of the layout, and of its directory in the graph root.
	Name() string
	// Deferred is false if layers are to be removed under the store lock.
	Deferred() bool
	// Inherits says that a layer has the files of its parents as well as its own.
	Inherits() bool
	// Directories are what has to exist before the first layer, below the graph root.
	Directories() []string
	// Parts are the paths that make up the layer, below the graph root, in the
	// order in which a deletion moves them away. An addition commits them in the
	// opposite order. With the first part gone the others must still be found.
	Parts(p Placed) []string
	// Files is the directory of the layer's files, below the graph root.
	Files(p Placed) string
	// Build makes every part of the layer at its path in staged, which is in the
	// order of Parts. fill puts the files into an empty directory.
	Build(p Placed, staged []string, lower []Placed, fill func(dir string) error) error
}

// Placed is what a Driver knows of a layer: the same whenever it is asked.
type Placed struct {
	ID    string
	Short string // 26 letters and digits, drawn when the layer was created
}

// The layouts.
var (
	// VFS keeps every layer as one directory of all its files.
	VFS Driver = vfs{name: "vfs", deferred: true}
	// Overlay keeps what each layer adds, as overlay mounts want it.
	Overlay Driver = overlay{}
	// Direct is VFS without deferral: layers are removed under the store lock.
	// It is there to compare with.
	Direct Driver = vfs{name: "direct"}
)

// drivers are the layouts that metadata may name.
var drivers = map[string]Driver{VFS.Name(): VFS, Overlay.Name(): Overlay, Direct.Name(): Direct}

type vfs struct {
	name     string
	deferred bool
}

func (v vfs) Name() string            { return v.name }
func (v vfs) Deferred() bool          { return v.deferred }
func (v vfs) Inherits() bool          { return true }
func (v vfs) Directories() []string   { return []string{filepath.Join(v.name, "dir")} }
func (v vfs) Parts(p Placed) []string { return []string{v.Files(p)} }
func (v vfs) Files(p Placed) string   { return filepath.Join(v.name, "dir", p.ID) }

func (v vfs) Build(_ Placed, staged []string, _ []Placed, fill func(string) error) error {
	if err := os.Mkdir(staged[0], 0o755); err != nil {
		return err
	}
	return fill(staged[0])
}

type overlay struct{}

func (overlay) Name() string          { return "overlay" }
func (overlay) Deferred() bool        { return true }
func (overlay) Inherits() bool        { return false }
func (overlay) Directories() []string { return []string{"overlay", filepath.Join("overlay", "l")} }

// Parts has the link first: without it the layer's directory is still found by
// its id, and the record still knows the link.
func (o overlay) Parts(p Placed) []string {
	return []string{filepath.Join("overlay", "l", p.Short), filepath.Join("overlay", p.ID)}
}

func (overlay) Files(p Placed) string { return filepath.Join("overlay", p.ID, "diff") }

func (overlay) Build(p Placed, staged []string, lower []Placed, fill func(string) error) error {
	link, layer := staged[0], staged[1]
	if err := os.Mkdir(layer, 0o700); err != nil {
		return err
	}
	diff := filepath.Join(layer, "diff")
	if err := os.Mkdir(diff, 0o755); err != nil {
		return err
	}
	if err := fill(diff); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(layer, "link"), []byte(p.Short), 0o644); err != nil {
		return err
	}
	if len(lower) > 0 {
		var names []string
		for _, l := range lower {
			names = append(names, "l/"+l.Short)
		}
		if err := os.WriteFile(filepath.Join(layer, "lower"), []byte(strings.Join(names, ":")), 0o644); err != nil {
			return err
		}
	}
	return os.Symlink(filepath.Join("..", p.ID, "diff"), link)
}
