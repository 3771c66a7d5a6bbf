package drivers

import (
	"encoding/json"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A lateFlag puts off the save of the flag until the first layer was staged.
type lateFlag struct {
	disk        kernel.Disk
	spare, path string // of the exchange that is put off
	done        bool
}

type lateFlagDisk struct {
	kernel.Disk
	*lateFlag
}

func (d lateFlagDisk) Replace(spare, path string) error {
	if !d.done {
		d.spare, d.path, d.done = spare, path, true
		return nil
	}
	return d.Disk.Replace(spare, path)
}

type lateFlagKernel struct {
	kernel.Kernel
	*lateFlag
}

func (k lateFlagKernel) StageDeletion(victim string, root int, entry string) error {
	err := k.Kernel.StageDeletion(victim, root, entry)
	if k.spare != "" {
		_ = k.disk.Replace(k.spare, k.path)
		k.spare = ""
	}
	return err
}

// An earlyForget saves metadata without the record where it is to have the
// flag: before the layer's data is staged.
type earlyForget struct{ kernel.Disk }

func (f earlyForget) WriteSpare(path string, data []byte) (int, error) {
	var m struct {
		Version, Serial int
		Layers          []map[string]any
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return -1, unix.EINVAL
	}
	kept := make([]map[string]any, 0, len(m.Layers))
	for _, record := range m.Layers {
		if record["incomplete"] != true {
			kept = append(kept, record)
		}
	}
	text, err := json.Marshal(map[string]any{"version": m.Version, "serial": m.Serial, "layers": kept})
	if err != nil {
		return -1, unix.EINVAL
	}
	return f.Disk.WriteSpare(path, text)
}

// A blind reads no flags: what is flagged is a layer like any other.
type blind struct{ kernel.Disk }

func (b blind) ReadMetadata(path string) ([]byte, error) {
	data, err := b.Disk.ReadMetadata(path)
	var m map[string]any
	if err != nil || json.Unmarshal(data, &m) != nil {
		return data, err
	}
	for _, record := range m["layers"].([]any) {
		delete(record.(map[string]any), "incomplete")
	}
	return json.Marshal(m)
}

// A keeper removes nothing, and says that it did.
type keeper struct{ kernel.Kernel }

func (keeper) RemoveEntry(int, string) error     { return nil }
func (keeper) RemoveDirectory(int, string) error { return nil }
func (keeper) RemoveData(int, string) error      { return nil }
func (k keeper) RemoveLock(int, string) error    { return nil }

// An unlocked takes no store lock, and says that it did.
type unlocked struct{ kernel.Disk }

func (unlocked) TakeLock(int, kernel.ByteRange) error { return nil }

// layerFaults are those of a layer store.
var layerFaults = map[string]func() []layerstore.Option{
	"lateflag": func() []layerstore.Option {
		f := &lateFlag{disk: kernel.LinuxDisk()}
		return []layerstore.Option{
			kernel.WithDisk[layerstore.Option](lateFlagDisk{f.disk, f}), kernel.With[layerstore.Option](lateFlagKernel{kernel.Linux(), f}),
		}
	},
	"earlyforget": func() []layerstore.Option {
		return []layerstore.Option{kernel.WithDisk[layerstore.Option](earlyForget{kernel.LinuxDisk()})}
	},
	"blind": func() []layerstore.Option {
		return []layerstore.Option{kernel.WithDisk[layerstore.Option](blind{kernel.LinuxDisk()})}
	},
	"unlocked": func() []layerstore.Option {
		return []layerstore.Option{kernel.WithDisk[layerstore.Option](unlocked{kernel.LinuxDisk()})}
	},
	"keeper": func() []layerstore.Option {
		return []layerstore.Option{kernel.With[layerstore.Option](keeper{kernel.Linux()})}
	},
}

// serveLayers does commands with the fault, if it is one of a layer store.
func serveLayers(fault string) bool {
	options, ok := layerFaults[fault]
	if ok {
		driver.Serve(driver.Layers(options))
	}
	return ok
}
