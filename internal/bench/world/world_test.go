package world_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/afterlock/afterlock/internal/bench/world"
)

const id = "00000000000000000000000000000001"

// tree is one of the files, each "path" or "path=content", and their directories;
// a path that ends with a slash is a directory.
func tree(files ...string) (t world.Tree) {
	var add func(name string, kind byte, content string)
	add = func(name string, kind byte, content string) {
		if dir := path.Dir(name); dir != "." {
			add(dir, world.Directory, "")
		}
		if t.Find(name) == nil {
			t = append(t, world.Node{Path: name, Kind: kind, Content: content})
		}
	}
	for _, text := range files {
		name, content, _ := strings.Cut(text, "=")
		if dir, is := strings.CutSuffix(name, "/"); is {
			add(dir, world.Directory, "")
		} else {
			add(name, world.File, content)
		}
	}
	return t
}

func TestCheckReturnsEveryFinding(t *testing.T) {
	layer := world.Layer{Home: "layers/v", Tree: tree("f", "d/g=x"), Record: "meta/v"}
	bare := layer
	bare.Record = ""
	with := func(change func(w *world.Want)) *world.Want {
		w := world.Want{Root: "root", Foreign: []string{"notes"}, Layers: []world.Layer{layer}, NoOrphans: true}
		change(&w)
		return &w
	}
	want := with(func(*world.Want) {})
	recovered := with(func(w *world.Want) { w.Recovered = true })
	live := with(func(w *world.Want) { w.Live = []string{id} })
	reply := func(r world.Reply) *world.Want {
		return with(func(w *world.Want) { bare.Reply = r; w.Layers = []world.Layer{bare} })
	}
	whole := []string{"layers/v/f", "layers/v/d/g=x"}
	for _, test := range []struct {
		name   string
		files  []string
		want   *world.Want
		claims []world.Claim
	}{
		{"whole", append(whole, "root/notes", "meta/v=complete"), recovered, nil},
		{"gone", []string{"root/notes"}, recovered, nil},
		{"half", []string{"root/notes", "layers/v/f", "meta/v=incomplete"}, want, []world.Claim{world.ReachableWhole}},
		{"not ours", append(whole, "root/notes", "layers/v/x", "meta/v=incomplete"), want, []world.Claim{world.ReachableWhole}},
		{"other content", []string{"root/notes", "layers/v/f", "layers/v/d/g=y", "meta/v=incomplete"}, want, []world.Claim{world.ReachableWhole}},
		{"everything", []string{"root/temp-dir-" + id + "/0-v", "layers/v/f", "meta/v=complete"}, recovered,
			[]world.Claim{world.DataHasLock, world.NothingLeft, world.ForeignKept, world.ReachableWhole, world.WholeOrFlagged}},
		{"an orphan of before", []string{"root/notes", "root/temp-dir-" + id + "/0-v"}, with(func(w *world.Want) { w.Orphans = []string{id} }), nil},
		{"after power loss", []string{"root/notes", "root/temp-dir-" + id + "/0-v"}, with(func(w *world.Want) { w.NoOrphans = false }), nil},
		{"leak", append(whole, "root/notes"), want, []world.Claim{world.NoLeak}},
		{"lost", []string{"root/notes", "meta/v=complete"}, want, []world.Claim{world.WholeOrFlagged}},
		{"half a record", []string{"root/notes", "meta/v=compl"}, want, []world.Claim{world.WholeOrFlagged}},
		{"an empty record", append(whole, "root/notes", "meta/v"), want, []world.Claim{world.WholeOrFlagged}},
		{"a record that is a directory", []string{"root/notes", "meta/v/x"}, want, []world.Claim{world.WholeOrFlagged, world.NothingLeft}},
		{"a file in the layer's place", []string{"root/notes", "layers/v", "meta/v=incomplete"}, want, []world.Claim{world.ReachableWhole}},
		{"litter in the root", []string{"root/notes", "root/litter"}, want, []world.Claim{world.NothingLeft}},
		{"a lock file after recovery", []string{"root/notes", "root/lock-" + id}, recovered, []world.Claim{world.NothingLeft}},
		{"an orphan before recovery", []string{"root/notes", "root/temp-dir-" + id + "/0-v"}, want, []world.Claim{world.DataHasLock}},
		{"litter elsewhere", []string{"root/notes", "layers/x"}, want, []world.Claim{world.NothingLeft}},
		{"litter with a name like another", []string{"root/notes", "rooted"}, want, []world.Claim{world.NothingLeft}},
		{"flag left", []string{"root/notes", "meta/v=incomplete"}, recovered, []world.Claim{world.NothingLeft}},
		{"live", []string{"root/notes", "root/lock-" + id, "root/temp-dir-" + id + "/0-v"}, live, nil},
		{"live taken away", []string{"root/notes", "root/lock-" + id}, live, []world.Claim{world.LiveKept}},
		{"nobody deleted it", []string{"root/notes"}, reply(world.There), []world.Claim{world.RepliesTrue}},
		{"somebody has deleted it", append(whole, "root/notes"), reply(world.Gone), []world.Claim{world.RepliesTrue}},
		{"no root", nil, want, []world.Claim{world.ForeignKept}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var claims []world.Claim
			for _, f := range world.Check(tree(slices.Clone(test.files)...), test.want) {
				claims = append(claims, f.Claim)
			}
			assert.Equal(t, test.claims, claims)
		})
	}
}

func TestOrphansHaveDataAndNoLockFile(t *testing.T) {
	assert.Equal(t, []string{"b"}, tree("root/lock-a", "root/temp-dir-a/", "root/temp-dir-b/0-v", "root/lock-c", "temp-dir-d/").Orphans("root"))
}
