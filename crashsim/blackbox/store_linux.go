//go:build amd64 || arm64

package blackbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The layer store on disk, as the documentation of package layerstore has it.
// Nothing here is that package's: what it wrote is judged.
const (
	storeDir     = "store"
	storeRoot    = storeDir + "/tempdirs"
	metadataPath = storeDir + "/layers.json"
)

// A stored is one record of the metadata.
type stored struct {
	ID         string `json:"id"`
	Parent     string `json:"parent,omitempty"`
	Driver     string `json:"driver"`
	Serial     int    `json:"serial"`
	Created    string `json:"created"`
	Short      string `json:"short"`
	Incomplete bool   `json:"incomplete,omitempty"`
}

// A catalogue is the metadata.
type catalogue struct {
	Version int      `json:"version"`
	Serial  int      `json:"serial"`
	Layers  []stored `json:"layers"`
}

// find is the record of the id, or nil.
func (c *catalogue) find(id string) *stored {
	for i := range c.Layers {
		if c.Layers[i].ID == id {
			return &c.Layers[i]
		}
	}
	return nil
}

// listed are the ids of the layers that there are, in order: what is flagged is
// no layer.
func (c *catalogue) listed() (ids []string) {
	for _, r := range c.Layers {
		if !r.Incomplete {
			ids = append(ids, r.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// catalogue reads the metadata of the tree's store.
func (t tree) catalogue() (*catalogue, error) {
	for _, n := range t {
		if n.Path == metadataPath && n.Kind == 'f' {
			c := &catalogue{}
			if err := json.Unmarshal([]byte(n.Content), c); err != nil {
				return nil, fmt.Errorf("%s: %w", metadataPath, err)
			}
			return c, nil
		}
	}
	return nil, errors.New(metadataPath + " is lost")
}

// files are what a layer is made of: two files that say its name.
func files(id string) tree {
	return tree{{Path: id, Kind: 'f', Content: "of " + id}, {Path: "sub", Kind: 'd'}, {Path: "sub/" + id, Kind: 'f', Content: "below of " + id}}
}

// put is the tree below the directory, which it makes.
func (t tree) put(dir string) tree {
	all := directory(dir)
	for _, n := range t {
		all = append(all, node{Path: dir + "/" + n.Path, Kind: n.Kind, Content: n.Content})
	}
	return all
}

// parts are the trees that the record stands for, all that is to be on disk for
// it: in the layout vfs the files of its parents are among its own, in overlay a
// link by its short name leads to them, and those of its parents are listed.
func (c *catalogue) parts(r *stored) tree {
	if r.Driver == "vfs" {
		own := files(r.ID)
		for p := c.find(r.Parent); p != nil; p = c.find(p.Parent) {
			own = slices.CompactFunc(join(own, files(p.ID)), func(a, b node) bool { return a == b })
		}
		return own.put(storeDir + "/vfs/dir/" + r.ID)
	}
	all := append(files(r.ID).put("diff"), node{Path: "link", Kind: 'f', Content: r.Short})
	var lower []string
	for p := c.find(r.Parent); p != nil; p = c.find(p.Parent) {
		lower = append(lower, "l/"+p.Short)
	}
	if len(lower) > 0 {
		all = append(all, node{Path: "lower", Kind: 'f', Content: strings.Join(lower, ":")})
	}
	return append(all.put(storeDir+"/overlay/"+r.ID), c.link(r))
}

func (c *catalogue) link(r *stored) node {
	return node{Path: storeDir + "/overlay/l/" + r.Short, Kind: 'l', Content: "../" + r.ID + "/diff"}
}

// layoutDirectories are those that a layout has with and without layers.
var layoutDirectories = map[string]tree{
	"vfs":     join(directory(storeDir+"/vfs"), directory(storeDir+"/vfs/dir")),
	"overlay": join(directory(storeDir+"/overlay"), directory(storeDir+"/overlay/l")),
}

// storeScene is a layer store: the layer keep, v1, its child v2, and what to
// make another layer of. Flagged layers have a record, and here no parts.
func storeScene(layout string, flagged ...string) tree { return familyScene(layout, "v1", flagged...) }

// familyScene is storeScene with another parent of v2, or none.
func familyScene(layout, parent string, flagged ...string) tree {
	c := &catalogue{Version: 1, Serial: 3}
	for i, id := range []string{"keep", "v1", "v2"} {
		c.Layers = append(c.Layers, stored{
			ID: id, Driver: layout, Serial: i + 1, Created: "2026-01-01T00:00:00Z",
			Short: strings.Repeat(string("KVW"[i]), shortLength), Incomplete: slices.Contains(flagged, id),
		})
	}
	c.Layers[2].Parent = parent
	text, _ := json.Marshal(c) // it has strings and numbers only
	scene := []tree{
		files("n1").put("content"), directory(storeDir), directory(storeRoot), layoutDirectories[layout],
		{{Path: metadataPath, Kind: 'f', Content: string(text)}, {Path: metadataPath + ".spare", Kind: 'f', Content: `{"version":1,"layers":[]}`}, {Path: storeDir + "/store.lock", Kind: 'f', Content: strings.Repeat("t", 16)}},
	}
	for i := range c.Layers {
		if r := &c.Layers[i]; !r.Incomplete {
			scene = append(scene, c.parts(r))
		}
	}
	return join(scene...)
}

// halfDeleted is a store after crashes: v1 is flagged and where it was, of its
// child v2 a part has moved into a stale instance, or all of it, and an orphan is
// there.
func halfDeleted(layout string) tree {
	c, _ := storeScene(layout).catalogue()
	r := c.find("v2")
	stale, orphan := storeRoot+"/temp-dir-"+staleID, storeRoot+"/temp-dir-"+orphanID
	scene := []tree{
		storeScene(layout, "v1", "v2"), c.parts(c.find("v1")),
		{{Path: storeRoot + "/lock-" + staleID, Kind: 'f'}}, directory(stale), directory(orphan), files("v3").put(orphan + "/0-v3"),
	}
	if layout == "vfs" {
		scene = append(scene, files("v2").put(stale+"/0-v2"))
	} else {
		parts := c.parts(r)
		scene = append(scene, parts[:len(parts)-1], tree{{Path: stale + "/0-link", Kind: 'l', Content: c.link(r).Content}})
	}
	return join(scene...)
}

// storePrograms are those of the layer store, in both layouts.
func storePrograms() (all []program) {
	for _, layout := range []string{"vfs", "overlay"} {
		for _, p := range []program{
			{name: "create-", words: words("create /store " + layout + " n1 keep /content"), additions: []string{"n1"}},
			{name: "deletelayer-", words: words("delete /store v2"), victims: []string{"v2"}},
			{name: "deletechain-", words: words("delete /store v1 v2"), victims: []string{"v1", "v2"}},
			{name: "deletegroup-", words: words("group /store v1 v2"), victims: []string{"v1", "v2"}, group: true, scene: familyScene(layout, "")},
			{name: "recover-", words: words("recover /store"), scene: halfDeleted(layout)},
		} {
			p.binary, p.serves, p.store, p.root = "layers", true, layout, storeRoot
			p.spareDescriptors = 2
			if p.scene == nil {
				p.scene = storeScene(layout)
			}
			p.name += layout
			all = append(all, p)
		}
	}
	return all
}

// shortLength is how many letters a layer's short name has.
const shortLength = 26

var (
	drawnShort = regexp.MustCompile(fmt.Sprintf("[A-Z2-7]{%d}", shortLength))
	createdAt  = regexp.MustCompile(`"created":"[^"]*"`)
)

// forget drops from a text of a store what two runs do not share: the short name
// that was drawn for a new layer, and when that was. Short names of scenes are
// one letter and stay.
func forget(text string) string {
	text = createdAt.ReplaceAllString(text, `"created":""`)
	return drawnShort.ReplaceAllStringFunc(text, func(short string) string {
		if strings.Trim(short, short[:1]) == "" {
			return short
		}
		return "(short)"
	})
}

// canonical is the content of a file without its padding and, of the store's
// lock file, without the token.
func canonical(n *node) string {
	switch {
	case strings.HasPrefix(n.Path, metadataPath):
		return forget(string(bytes.TrimRight([]byte(n.Content), " ")))
	case n.Path == storeDir+"/store.lock":
		return ""
	}
	return n.Content
}
