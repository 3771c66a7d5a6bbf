package linearizability

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A site is where a store is and what it is like there.
type site struct {
	Dir    string `json:"dir"`
	Layout string `json:"layout"`
	Images string `json:"images,omitempty"` // directory of the image store, "": none
	Full   uint64 `json:"full,omitempty"`   // seed of the moves for which the disk has no room; 0: it has
	Files  int    `json:"files"`            // in every tree
}

// canary is a file beside the store that nobody touches: what links in large trees
// lead to.
func (s site) canary() string { return filepath.Join(filepath.Dir(s.Dir), "canary") }

// roots are the directories of the layers.
func (s site) roots() []string {
	if s.Images == "" {
		return []string{s.Dir}
	}
	return []string{s.Dir, s.Images}
}

// open opens a handle on the store.
func (s site) open(options ...layerstore.Option) (*layerstore.Store, error) {
	driver := layerstore.VFS
	if s.Layout == "overlay" {
		driver = layerstore.Overlay
	}
	if s.Images != "" {
		options = append(options, layerstore.ImageStore(s.Images))
	}
	options = append(options, layerstore.WithDriver(driver), layerstore.OrphanGrace(0)) // one recovery leaves nothing
	return layerstore.Open(s.Dir, options...)
}

// kernel is the kernel there.
func (s site) kernel() kernel.Kernel {
	k := kernel.Linux()
	if s.Full == 0 {
		return k
	}
	return kernel.Around(k, &fullDisk{seed: s.Full})
}

// A fullDisk has no block for the new name, now and then, when a layer is moved
// aside: then it is removed where it is.
type fullDisk struct {
	seed  uint64
	moves atomic.Uint64
}

func (d *fullDisk) Before(c *kernel.Call) error {
	if c.Method == kernel.StageDeletion && rand.New(rand.NewPCG(d.seed, d.moves.Add(1))).IntN(3) == 0 {
		return unix.ENOSPC
	}
	return nil
}

func (*fullDisk) After(*kernel.Call) {}

// otherFileSystem makes a scratch directory on another file system than that of
// dir: in the directory that is preferred, or in one that everybody may use. If
// there is none, it is in dir.
func otherFileSystem(dir, preferred string) (string, error) {
	here, err := deviceOf(dir)
	if err != nil {
		return "", err
	}
	for _, path := range []string{preferred, "/dev/shm", "/var/tmp", "/tmp", os.TempDir()} {
		if device, err := deviceOf(path); err == nil && device != here {
			if made, err := os.MkdirTemp(path, scratchPattern); err == nil {
				return made, nil
			}
		}
	}
	path := filepath.Join(dir, "images")
	return path, os.Mkdir(path, 0o700)
}

// scratchPattern is how the names of scratch directories begin.
const scratchPattern = "afterlock-histories-"

func deviceOf(path string) (uint64, error) {
	var info unix.Stat_t
	if err := unix.Stat(path, &info); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return uint64(info.Dev), nil
}
