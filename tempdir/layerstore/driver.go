package layerstore

// A Driver is a layout on disk.
type Driver interface {
	// Name is the name of the layout and of its directory.
	Name() string
}

// The layouts.
var (
	VFS     Driver = layout{name: "vfs"}
	Overlay Driver = layout{name: "overlay"}
	// Direct is VFS without deferral: it removes under the store lock.
	Direct Driver = layout{name: "direct"}
)

type layout struct{ name string }

func (l layout) Name() string { return l.name }
