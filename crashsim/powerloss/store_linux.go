package powerloss

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/world"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// The layer store on disk, as the documentation of package layerstore has it. Nothing
// here is that package's: what it wrote is judged.
const storeName = "store"

// sitesDisk is the seam of a store's own files.
type sitesDisk struct {
	kernel.Disk
	site *site
}

func (d sitesDisk) SyncSpare(fd int) error {
	if d.site.skips(caller() + ".SyncSpare") {
		return nil
	}
	return d.Disk.SyncSpare(fd)
}

func (d sitesDisk) SyncDirectory(path string) error {
	if d.site.skips(caller() + ".SyncDirectory") {
		return nil
	}
	return d.Disk.SyncDirectory(path)
}

func (d sitesDisk) SyncContent(path string) error {
	if d.site.skips(caller() + ".SyncContent") {
		return nil
	}
	return d.Disk.SyncContent(path)
}

// store opens the store with the layout.
func (s *site) store(layout layerstore.Driver, options ...layerstore.Option) (*layerstore.Store, error) {
	disk := kernel.AroundDisk(kernel.LinuxDisk(), func(method, _ string) error {
		switch method {
		case "MakeDirectory", "Remove", "WriteToken", "WriteSpare", "Replace":
			return s.disturb()
		}
		return nil
	})
	own := []layerstore.Option{
		layerstore.Make(0o700), layerstore.WithDriver(layout), layerstore.OrphanGrace(0), layerstore.WithoutRecovery(),
		kernel.With[layerstore.Option](s.kernel(kernel.Linux())), kernel.WithDisk[layerstore.Option](sitesDisk{disk, s}),
	}
	return layerstore.Open(s.path(storeName), append(own, options...)...)
}

// open opens the store for the time of do.
func (s *site) open(layout layerstore.Driver, do func(*layerstore.Store) error, options ...layerstore.Option) error {
	store, err := s.store(layout, options...)
	if err != nil {
		return err
	}
	return errors.Join(do(store), store.Close())
}

// create makes a layer of what lies beside the store.
func (s *site) create(store *layerstore.Store, id string) step {
	return func() error {
		return inOrder(s.says("pending", id), func() error {
			_, err := store.Create(context.Background(), layerstore.Layer{ID: id}, layerstore.Directory(s.path(contentName)))
			return err
		}, s.says("there", id))
	}
}

// contentName is what new layers are made of.
const contentName = "content"

// delete deletes a layer, and makes the steps between, if any, before it removes its files.
func (s *site) delete(store *layerstore.Store, id string, between ...step) step {
	return func() error {
		var receipt *layerstore.Receipt
		deleted := func() (err error) {
			receipt, err = store.DeferredDelete(context.Background(), id)
			return err
		}
		if err := inOrder(s.says("pending", id), deleted, s.says("gone", id), func() error { return inOrder(between...) }); err != nil {
			return err
		}
		_, err := receipt.Finish(context.Background())
		return err
	}
}

// storePrograms are those of the layer store, in each layout.
func storePrograms() (all []program) {
	background := context.Background()
	for _, layout := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay} { // the shards of a run have the same order
		keep := recorded(there("keep", "v1", "v2"))
		for _, p := range []program{
			{name: "create", layers: append(slices.Clone(keep), recorded(gone(true, "n1"))...), run: func(s *site) error {
				return s.open(layout, func(store *layerstore.Store) error { return s.create(store, "n1")() })
			}},
			{name: "create-durable", layers: append(slices.Clone(keep), recorded(gone(false, "n1", "n2"))...), run: func(s *site) error {
				return s.open(layout, func(store *layerstore.Store) error {
					return inOrder(s.create(store, "n1"), s.create(store, "n2"))
				}, layerstore.Sync())
			}},
			{name: "delete", layers: keep, run: func(s *site) error {
				return s.open(layout, func(store *layerstore.Store) error { return inOrder(s.delete(store, "v1"), s.delete(store, "v2")) })
			}},
			{name: "stores", layers: append(slices.Clone(keep), recorded(gone(false, "n1"))...), run: func(s *site) error {
				return s.open(layout, func(one *layerstore.Store) error {
					return s.open(layout, func(other *layerstore.Store) error {
						return s.delete(one, "v1", s.create(other, "n1"), s.delete(other, "v2"))()
					}, layerstore.Sync())
				})
			}},
			{name: "takeover", layers: keep, run: func(s *site) error {
				// One process ends after it has flagged a layer, and before that is durable.
				store, err := s.store(layout, kernel.WithDisk[layerstore.Option](cutDisk{kernel.LinuxDisk()}))
				if err != nil {
					return err
				}
				cutOff := func() error {
					if _, err := store.DeferredDelete(background, "v1"); !errors.Is(err, errEnded) {
						return fmt.Errorf("a deletion that is to be cut off: %v", err)
					}
					return closeBelow(s.dir)
				}
				return inOrder(s.says("pending", "v1"), cutOff, func() error {
					return s.open(layout, func(store *layerstore.Store) error { return s.delete(store, "v2")() })
				})
			}},
			{name: "recover", layers: recorded(append(there("keep"), subject{id: "old2", first: world.Pending})), setup: func(s *site) error {
				// One process ends before it removes what it deleted, and one between the flag
				// and the first move.
				dead := false
				die := func() error {
					if dead {
						return errEnded
					}
					return nil
				}
				stopped := kernel.Around(kernel.Linux(), kernel.HookFunc(func(c *kernel.Call) error {
					dead = dead || c.Method == kernel.StageDeletion
					return die()
				}))
				disk := kernel.AroundDisk(kernel.LinuxDisk(), func(string, string) error { return die() })
				ending := []layerstore.Option{kernel.With[layerstore.Option](stopped), kernel.WithDisk[layerstore.Option](disk)}
				for i, options := range [][]layerstore.Option{nil, ending} {
					store, err := s.store(layout, options...)
					if err != nil {
						return err
					}
					if _, err := store.DeferredDelete(background, fmt.Sprint("old", i+1)); err != nil != (options != nil) {
						return fmt.Errorf("a deletion that is to be cut off: %v", err)
					}
					if err := closeBelow(s.dir); err != nil {
						return err
					}
				}
				return nil
			}, run: func(s *site) error { return storeRecovery(layout)(s) }},
		} {
			p.name = layout.Name() + "-" + p.name
			own, subjects := p.setup, p.layers
			p.setup = func(s *site) error {
				if err := makeLayer(s.path(contentName)); err != nil {
					return err
				}
				err := s.open(layout, func(store *layerstore.Store) error {
					var created []step
					for _, l := range subjects {
						if l.first == world.There {
							created = append(created, s.create(store, l.id))
						}
					}
					if own != nil {
						created = append(created, s.create(store, "old1"), s.create(store, "old2"))
					}
					return inOrder(created...)
				})
				if err == nil && own != nil {
					err = own(s)
				}
				return err
			}
			p.look = seenStore
			p.recover = storeRecovery(layout)
			all = append(all, p)
		}
	}
	return all
}

// A cutDisk is that of a process that ends when the names of a save are to be made
// durable.
type cutDisk struct{ kernel.Disk }

var errEnded = errors.New("the process has ended")

func (cutDisk) SyncDirectory(string) error { return errEnded }

// closeBelow closes what this process has open below the directory, as its end would.
func closeBelow(dir string) error {
	const list = "/proc/self/fd/"
	open, err := os.ReadDir(list)
	if err != nil {
		return err
	}
	for _, fd := range open {
		if target, err := os.Readlink(list + fd.Name()); err == nil && strings.HasPrefix(target, dir+"/") {
			n, err := strconv.Atoi(fd.Name())
			if err = errors.Join(err, unix.Close(n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// storeRecovery recovers the store, and expects nothing to be left to do.
func storeRecovery(layout layerstore.Driver) func(*site) error {
	return func(s *site) error {
		return s.open(layout, func(store *layerstore.Store) error {
			report, err := store.Recover(context.Background())
			for root, r := range report.Roots {
				if n := len(r.Results) - r.Count(tempdir.Recovered); n > 0 && err == nil {
					err = fmt.Errorf("%d instances in %s were not recovered when nobody else was there", n, root)
				}
			}
			if err == nil && len(report.Flagged) > 0 {
				err = fmt.Errorf("recovery leaves %v flagged", report.Flagged)
			}
			return err // what is unrecorded is for the check to see
		})
	}
}

// A catalogue is the metadata of a store.
type catalogue struct {
	Layers []struct {
		ID         string `json:"id"`
		Driver     string `json:"driver"`
		Short      string `json:"short"`
		Incomplete bool   `json:"incomplete"`
	} `json:"layers"`
}

// seenStore makes of the tree of a store one of layers, with a record each, and its
// root: a layer is its files, whatever the layout; what else there is of it in the layout
// overlay has to be as the metadata says.
func seenStore(tree world.Tree) (seen world.Tree, err error) {
	var c catalogue
	var wrong world.Tree
	metadata := tree.Find(storeName + "/layers.json")
	if metadata == nil {
		return nil, errors.New("the metadata of the store is lost")
	}
	if err := json.Unmarshal([]byte(metadata.Content), &c); err != nil {
		return nil, fmt.Errorf("the metadata of the store: %w", err)
	}
	for _, l := range c.Layers {
		record := world.Node{Path: metaName + "/" + l.ID, Kind: world.File, Content: world.Complete}
		if l.Incomplete {
			record.Content = world.Incomplete
		} else if l.Driver == "overlay" {
			for _, want := range []world.Node{
				{Path: storeName + "/overlay/" + l.ID + "/link", Kind: world.File, Content: l.Short},
				{Path: storeName + "/overlay/l/" + l.Short, Kind: world.Link, Content: "../" + l.ID + "/diff"},
			} {
				if !slices.Contains(tree, want) { // then the layer is not whole
					wrong = append(wrong, world.Node{Path: layersName + "/" + l.ID + "/" + path.Base(want.Path), Kind: world.Other})
				}
			}
		}
		seen = append(seen, record)
	}
	known := func(id, short string) bool {
		for _, l := range c.Layers {
			if l.ID == id || short != "" && l.Short == short {
				return true
			}
		}
		return false
	}
	for _, n := range tree {
		below, inside := strings.CutPrefix(n.Path, storeName+"/")
		switch dir, file := path.Split(below); {
		case !inside && n.Path != storeName:
			if n.Path != contentName && !strings.HasPrefix(n.Path, contentName+"/") {
				seen = append(seen, n)
			}
		case !inside, slices.Contains([]string{"store.lock", "layers.json", "layers.json.spare", "vfs", "vfs/dir", "overlay", "overlay/l"}, below):
		case below == rootName, strings.HasPrefix(below, rootName+"/"):
			seen = append(seen, world.Node{Path: below, Kind: n.Kind, Content: n.Content})
		case strings.HasPrefix(below, "vfs/dir/"):
			seen = append(seen, world.Node{Path: layersName + below[len("vfs/dir"):], Kind: n.Kind, Content: n.Content})
		case dir == "overlay/l/" && known("", file): // looked at
		case dir == "overlay/": // the layer's own directory has its files in diff
			if tree.Find(n.Path+"/diff") == nil {
				seen = append(seen, world.Node{Path: layersName + "/" + file, Kind: n.Kind})
			}
		case strings.HasPrefix(below, "overlay/"):
			id, rest, _ := strings.Cut(below[len("overlay/"):], "/")
			if rest == "diff" {
				seen = append(seen, world.Node{Path: layersName + "/" + id, Kind: n.Kind})
			} else if inner, is := strings.CutPrefix(rest, "diff/"); is {
				seen = append(seen, world.Node{Path: layersName + "/" + id + "/" + inner, Kind: n.Kind, Content: n.Content})
			} else if rest != "link" && rest != "lower" || !known(id, "") {
				seen = append(seen, n)
			}
		default:
			seen = append(seen, n)
		}
	}
	return append(seen, wrong...), nil
}
