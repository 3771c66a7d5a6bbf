//go:build amd64 || arm64

package powerloss

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// Names of a store of containers/storage on the disk, with the graph driver vfs.
const (
	graphName    = "graph"
	graphRecords = graphName + "/vfs-layers/layers.json"
	graphLayers  = graphName + "/vfs/dir"
)

// releasedFiles is what is in a layer that the driver of package subjects puts.
var releasedFiles = world.Tree{
	{Path: "0", Kind: world.Directory},
	{Path: "0/0", Kind: world.File, Content: "layer\nlaye"},
	{Path: "0/1", Kind: world.File, Content: "layer\nlaye"},
	{Path: "0/2", Kind: world.File, Content: "layer\nlaye"},
}

// steeringPatience is how long a program may wait for something else than the disk.
const steeringPatience = time.Minute

// other runs the driver of somebody else's store; with noise it is stopped before each
// call that changes something.
func (s *site) other(words ...string) step {
	return func() error { return s.drive(words) }
}

func (s *site) drive(words []string) error {
	if s.driver == "" {
		return errors.New("there is no driver of the store; see Options.Driver")
	}
	run, err := os.MkdirTemp(filepath.Dir(s.dir), "run-") // what is there does not outlive a boot
	if err != nil {
		return err
	}
	defer os.RemoveAll(run)
	words = append([]string{"--graph", s.path(graphName), "--run", run, "--driver", "vfs"}, words...)
	environment := []string{"STORAGE_CONF=/dev/null"}
	if s.noise == "" || s.mark == nil {
		cmd := exec.Command(s.driver, words...)
		cmd.Env = append(os.Environ(), environment...)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(words[6:], " "), err, strings.TrimSpace(string(output)))
		}
		return nil
	}
	steering, err := blackbox.NewSteering(s.dir, true, steeringPatience)
	if err != nil {
		return err
	}
	defer steering.Close()
	p, err := steering.Start(s.driver, environment, words...)
	if err != nil {
		return err
	}
	for {
		if _, stopped := p.Stopped(); !stopped {
			if code, exited := p.Exit(); !exited || code != 0 {
				return fmt.Errorf("%s: exit code %d: %s", strings.Join(words[6:], " "), code, p.Output())
			}
			return nil
		}
		if err := inOrder(s.disturb, p.Step); err != nil {
			return err
		}
	}
}

// releasedPrograms are those of a store of containers/storage.
func releasedPrograms() (all []program) {
	for _, p := range []program{
		{name: "released-put", layers: recorded(append(there("keep", "v1"), gone(false, "n1")...)), run: func(s *site) error {
			return inOrder(s.says("pending", "n1"), s.other("put", "n1", "-", "3", "10"), s.says("there", "n1"), s.disturb)
		}},
		{name: "released-delete", layers: recorded(there("keep", "v1", "v2")), run: func(s *site) error {
			return inOrder(s.says("pending", "v1"), s.other("delete", "v1"), s.says("gone", "v1"),
				s.says("pending", "v2"), s.other("delete", "v2"), s.says("gone", "v2"))
		}},
	} {
		subjects := p.layers
		p.content = releasedFiles
		p.other = true
		p.setup = func(s *site) error {
			for _, l := range subjects {
				if l.first == world.There {
					if err := s.other("put", l.id, "-", "3", "10")(); err != nil {
						return err
					}
				}
			}
			return nil
		}
		p.look = seenReleased
		p.recover = func(s *site) error {
			// What opens the store and changes it finishes what others began.
			return inOrder(s.other("put", "x-extra", "-", "3", "10"), s.other("delete", "x-extra"))
		}
		all = append(all, p)
	}
	return all
}

// seenReleased makes of the tree of a store of containers/storage one of layers with
// records. A layer that is flagged is as good as none: the next load removes it. What else
// it keeps is not looked at.
func seenReleased(tree world.Tree) (seen world.Tree, err error) {
	var layers []struct {
		ID    string         `json:"id"`
		Flags map[string]any `json:"flags"`
	}
	if records := tree.Find(graphRecords); records == nil {
		return nil, errors.New(graphRecords + " is lost")
	} else if err := json.Unmarshal([]byte(records.Content), &layers); err != nil {
		return nil, fmt.Errorf("%s: %w", graphRecords, err)
	}
	var flagged []string
	for _, l := range layers {
		record := world.Node{Path: metaName + "/" + l.ID, Kind: world.File, Content: world.Complete}
		if l.Flags["incomplete"] == true {
			record.Content = world.Incomplete
			flagged = append(flagged, layersName+"/"+l.ID)
		}
		seen = append(seen, record)
	}
	for _, n := range tree {
		for below, as := range map[string]string{graphLayers + "/": layersName, graphName + "/vfs/" + rootName: rootName} {
			if rest, is := strings.CutPrefix(n.Path, below); is {
				seen = append(seen, world.Node{Path: strings.TrimSuffix(as+"/"+strings.TrimPrefix(rest, "/"), "/"), Kind: n.Kind, Content: n.Content})
			}
		}
	}
	return slices.DeleteFunc(seen, func(n world.Node) bool {
		return slices.ContainsFunc(flagged, func(home string) bool { return n.Path == home || strings.HasPrefix(n.Path, home+"/") })
	}), nil
}
