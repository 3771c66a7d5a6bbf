package linearizability

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/afterlock/afterlock/internal/kernel"
)

// Every fault in this file breaks one promise of a layer store, in a wrapper
// around its disk, its kernel or its calls.

func init() {
	faults = map[string]fault{
		"metadata before staging": {disk: func(d kernel.Disk, dir string) kernel.Disk { return forgetful{d, dir} }},
		"no flag":                 {disk: func(d kernel.Disk, _ string) kernel.Disk { return flagless{d} }},
		"early success":           {around: func(c *client) do { return earlySuccess{c}.do }},
		"list without lock":       {around: func(c *client) do { return lockless{c}.do }},
		"commit over":             {around: func(c *client) do { return overwriter{c}.do }},
		"recovery of the live":    recoveryOfTheLive(),
		"forgotten link":          {kernel: forgottenLink},
		"stale cache":             {disk: func(d kernel.Disk, _ string) kernel.Disk { return stale{d} }},
		"lost create":             {disk: func(d kernel.Disk, _ string) kernel.Disk { return &loser{Disk: d} }},
		"idempotent create":       {around: func(c *client) do { return idempotent{c}.do }},
		"no children":             {disk: func(d kernel.Disk, _ string) kernel.Disk { return blind{d, "parent"} }},
		"no mounts":               {disk: func(d kernel.Disk, _ string) kernel.Disk { return blind{d, "mounts"} }},
		"forgotten parent":        {around: func(c *client) do { return parentless{c}.do }},
		"shy recovery":            {around: func(c *client) do { return shy{c}.do }},
		"full metadata":           {disk: func(d kernel.Disk, _ string) kernel.Disk { return fullMetadata{d} }},
		"left in place":           {around: func(c *client) do { return leaver{c}.do }},
	}
}

// saved is the metadata as far as faults change it.
type saved struct {
	Version any              `json:"version"`
	Serial  any              `json:"serial"`
	Layers  []map[string]any `json:"layers"`
}

// rewrite changes the records of metadata; those for which keep is false go.
func rewrite(data []byte, keep func(record map[string]any) bool) []byte {
	var m saved
	if json.Unmarshal(data, &m) != nil {
		return data
	}
	layers := make([]map[string]any, 0, len(m.Layers))
	for _, record := range m.Layers {
		if keep(record) {
			layers = append(layers, record)
		}
	}
	m.Layers = layers
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append(text, bytes.Repeat([]byte{' '}, max(0, len(data)-len(text)))...)
}

// A forgetful store drops the record of a layer before it moves the layer.
type forgetful struct {
	kernel.Disk
	dir string
}

func (d forgetful) WriteSpare(path string, data []byte) (int, error) {
	return d.Disk.WriteSpare(path, rewrite(data, func(record map[string]any) bool {
		_, err := os.Stat(filepath.Join(d.dir, "vfs", "dir", record["id"].(string)))
		return record["incomplete"] != true || err != nil
	}))
}

// A flagless store moves layers without a flag.
type flagless struct{ kernel.Disk }

func (d flagless) WriteSpare(path string, data []byte) (int, error) {
	return d.Disk.WriteSpare(path, rewrite(data, func(record map[string]any) bool {
		delete(record, "incomplete")
		return true
	}))
}

// An earlySuccess reports a deletion before the data is gone.
type earlySuccess struct{ *client }

func (c earlySuccess) do(ctx context.Context, op *Operation) (Result, string) {
	if op.Kind != Delete {
		return c.client.do(ctx, op)
	}
	if _, err := c.store.DeferredDelete(ctx, op.Layers...); err != nil {
		return deleteResult(err), err.Error()
	}
	return Result{Outcome: Done}, ""
}

// A lockless client lists directories.
type lockless struct{ *client }

func (c lockless) do(ctx context.Context, op *Operation) (Result, string) {
	if op.Kind != List {
		return c.client.do(ctx, op)
	}
	entries, _ := os.ReadDir(filepath.Join(c.Dir, "vfs", "dir"))
	r := Result{Outcome: Done}
	for _, entry := range entries {
		r.Layers = append(r.Layers, entry.Name())
	}
	return r, ""
}

// An overwriter puts a new layer where one is.
type overwriter struct{ *client }

func (c overwriter) do(ctx context.Context, op *Operation) (Result, string) {
	r, note := c.client.do(ctx, op)
	if r.Outcome != AlreadyExists {
		return r, note
	}
	path, err := c.store.Path(ctx, op.Layers[0])
	if err == nil {
		err = os.RemoveAll(path)
	}
	if err == nil {
		err = os.Mkdir(path, 0o755)
	}
	for i := 0; err == nil && i < treeFiles; i++ {
		err = os.WriteFile(filepath.Join(path, fileOf(op.Tree, i)), []byte(op.Tree), 0o644)
	}
	if err != nil {
		return Result{Outcome: Failed}, err.Error()
	}
	return Result{Outcome: Done}, ""
}

// An idempotent client takes a layer that is there for the one it makes.
type idempotent struct{ *client }

func (c idempotent) do(ctx context.Context, op *Operation) (Result, string) {
	r, note := c.client.do(ctx, op)
	if r.Outcome == AlreadyExists {
		r.Outcome = Done
	}
	return r, note
}

// recoveryOfTheLive takes every layer for one that a crash left.
func recoveryOfTheLive() fault {
	var recovering atomic.Bool
	return fault{
		disk: func(d kernel.Disk, _ string) kernel.Disk { return suspicious{d, &recovering} },
		around: func(c *client) do {
			return func(ctx context.Context, op *Operation) (Result, string) {
				recovering.Store(op.Kind == Recover)
				defer recovering.Store(false)
				return c.do(ctx, op)
			}
		},
	}
}

type suspicious struct {
	kernel.Disk
	recovering *atomic.Bool
}

func (d suspicious) ReadToken(fd int) (kernel.Token, error) {
	t, err := d.Disk.ReadToken(fd)
	if d.recovering.Load() {
		t[0]++ // what is cached does not count
	}
	return t, err
}

func (d suspicious) ReadMetadata(path string) ([]byte, error) {
	data, err := d.Disk.ReadMetadata(path)
	if err != nil || !d.recovering.Load() {
		return data, err
	}
	return rewrite(data, func(record map[string]any) bool {
		record["incomplete"] = true
		return true
	}), nil
}

// forgottenLink leaves the link of a deleted layer where it is, and says that it
// moved it: an errno would not be believed.
func forgottenLink(k kernel.Kernel) kernel.Kernel { return linkKernel{k} }

type linkKernel struct{ kernel.Kernel }

func (k linkKernel) StageDeletion(victim string, root int, entry string) error {
	if strings.Contains(victim, "/overlay/l/") {
		return nil
	}
	return k.Kernel.StageDeletion(victim, root, entry)
}

// A stale store does not notice that others have saved.
type stale struct{ kernel.Disk }

func (stale) ReadToken(int) (kernel.Token, error) { return kernel.Token{}, nil }
func (stale) StatMetadata(string) (kernel.Version, error) {
	return kernel.Version{Size: 1}, nil
}

// A loser does not save that a new layer is complete.
type loser struct {
	kernel.Disk
	flagged int // records, and how many of them have the flag, in the last save
	records int
	lose    bool
}

func (d *loser) WriteSpare(path string, data []byte) (int, error) {
	flagged, records := 0, 0
	rewrite(data, func(record map[string]any) bool {
		records++
		if record["incomplete"] == true {
			flagged++
		}
		return true
	})
	d.lose = flagged < d.flagged && records == d.records
	d.flagged, d.records = flagged, records
	return d.Disk.WriteSpare(path, data)
}

func (d *loser) Replace(spare, path string) error {
	if d.lose {
		return nil
	}
	return d.Disk.Replace(spare, path)
}
