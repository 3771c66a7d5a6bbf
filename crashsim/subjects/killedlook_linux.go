//go:build amd64 || arm64

package subjects

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A listing is the names below a store; of a link, with what it leads to.
type listing map[string]string

func list(dir string) (listing, error) {
	l := listing{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		target := ""
		if entry.Type() == fs.ModeSymlink {
			if target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		l[strings.TrimPrefix(path, dir+"/")] = target
		return nil
	})
	return l, err
}

// of reports whether a name belongs to one of the ids.
func (l listing) of(name string, ids ...string) bool {
	return slices.ContainsFunc(ids, func(id string) bool {
		return strings.Contains(name, "/"+id) || strings.Contains(l[name], "/"+id+"/")
	})
}

// A state is what is to be seen of an errand.
type state struct {
	left     []string // that has to go
	lost     string   // what should be there and is not
	notBegun bool     // everything is as before
}

// look judges the store from its files. A repair may have dropped layers of no image.
func (k *cutoff) look(repaired bool) (s state, err error) {
	now, err := list(k.path("graph"))
	if err != nil {
		return s, err
	}
	var layers, images []struct {
		ID    string
		Flags map[string]any
	}
	for name, into := range map[string]any{"layers": &layers, "images": &images} {
		text, err := os.ReadFile(k.path("graph/" + k.layout + "-" + name + "/" + name + ".json"))
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return s, err
		}
	}
	recorded := map[string]bool{}
	for _, l := range layers {
		if recorded[l.ID] = true; l.Flags["incomplete"] == true {
			s.left = append(s.left, "incomplete layer")
			recorded[l.ID] = false
		}
	}
	for _, i := range images {
		recorded[i.ID] = true
	}
	for name := range now {
		if _, was := k.before[name]; !was && !now.of(name, "x-extra") && !(recorded[k.puts] && now.of(name, k.puts)) && name != k.layout+"/tempdirs" && name != k.layout+"-layers/tmp" {
			s.left = append(s.left, name)
		}
	}
	s.notBegun = !recorded[k.puts]
	for _, id := range k.victims {
		s.notBegun = s.notBegun && recorded[id]
		switch {
		case recorded[id] && k.image != "" && !recorded[k.image]:
			s.left = append(s.left, "layer of no image")
		case !recorded[id]:
			for name := range now {
				if k.before.of(name, id) {
					s.left = append(s.left, name)
				}
			}
		}
	}
	if k.image != "" && !recorded[k.image] {
		s.notBegun = false
	}
	var gone []string
	for name := range k.before {
		if _, is := now[name]; is {
			continue
		}
		mayGo := strings.Contains(name, "/tempdirs") || strings.Contains(name, "/tmp") || k.image != "" && k.before.of(name, k.image) || repaired && k.before.of(name, "v-alone", "v-low", "v-high")
		for _, id := range k.victims {
			mayGo = mayGo || !recorded[id] && k.before.of(name, id)
		}
		if !mayGo {
			gone = append(gone, name)
		}
	}
	if slices.Sort(gone); len(gone) > 0 {
		s.lost = fmt.Sprintf("%s is gone, and %d names more", gone[0], len(gone)-1)
	}
	slices.Sort(s.left)
	return s, nil
}
