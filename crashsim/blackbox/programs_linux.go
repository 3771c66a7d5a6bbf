//go:build amd64 || arm64

package blackbox

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/afterlock/afterlock/internal/bench/world"
)

// A program is one run of an unmodified binary on a scene: what is there, what
// is run, and what may have come of it. Paths are below the scene's directory.
type program struct {
	name      string
	binary    string   // one of binaries, see image
	arguments []string // of a driver that serves
	serves    bool     // it takes commands; else the words are its arguments
	words     []string // paths that begin with "/" are below the scene
	root      string   // of the instances
	store     string   // the layout of the layer store that it works on; "": a root alone
	scene     tree

	victims   []string // paths that it deletes; in a store, ids
	group     bool     // by a deletion each
	additions []string // paths that it commits, or ids

	// spareDescriptors are those that the Go runtime may open on the way and
	// keeps: its poller.
	spareDescriptors int
}

// A layer is a tree of three files and directories at the path.
func layer(path string) tree {
	return tree{
		{Path: path, Kind: 'd'}, {Path: path + "/a", Kind: 'f', Content: "alpha"},
		{Path: path + "/sub", Kind: 'd'}, {Path: path + "/sub/b", Kind: 'f', Content: "beta"},
	}
}

// join is the trees as one, in order.
func join(trees ...tree) tree {
	all := slices.Concat(trees...)
	slices.SortFunc(all, func(a, b node) int { return strings.Compare(a.Path, b.Path) })
	return all
}

func directory(path string) tree { return tree{{Path: path, Kind: 'd'}} }

// layers are the layers of every scene: two to delete and one to keep.
func layers() tree {
	return join(directory("layers"), layer("layers/keep"), layer("layers/v1"), layer("layers/v2"))
}

// Ids of what a scene holds from the start. Recoveries go by the order of ids, and
// these come before whatever is drawn, so that every run has the same order. Of a group
// two are drawn: with which of them a recovery begins is not the same in every run.
var staleID, orphanID = strings.Repeat("0", 30) + "0a", strings.Repeat("0", 30) + "0b"

// leftovers is a root with a stale instance, which has lost a file already, and
// an orphan.
func leftovers() tree {
	orphan := "root/temp-dir-" + orphanID
	return join(stale(), directory(orphan), layer(orphan+"/0-v5"))
}

// stale is leftovers without the orphan, for programs that give orphans their day.
func stale() tree {
	data := "root/temp-dir-" + staleID
	return join(directory("root"), tree{{Path: "root/lock-" + staleID, Kind: 'f'}},
		directory(data), layer(data+"/0-v3"), directory(data+"/1-v4"), directory(data+"/1-v4/sub"))
}

// programs is the table of what is crashed, killed and made to fail. The calls
// of create, stage, commit, close and recover are all in it, and the additions
// and deletions of layers.
func programs() []program {
	return append(rootPrograms(), storePrograms()...)
}

// rootPrograms are those that work on a root.
func rootPrograms() []program {
	scene := join(directory("root"), layers())
	old := join(leftovers(), layers())
	both := []string{"layers/v1", "layers/v2"}
	return []program{
		{name: "delete", binary: "tempdir", serves: true, words: words("delete /root /layers/v1 /layers/v2"), root: "root", scene: scene, victims: both},
		{name: "add", binary: "tempdir", serves: true, words: words("add /root /layers/n1 /layers/n2"), root: "root", scene: scene, additions: []string{"layers/n1", "layers/n2"}, spareDescriptors: 2},
		{name: "replace", binary: "tempdir", serves: true, words: words("replace /root /layers/v1 /layers/v2"), root: "root", scene: scene, victims: both, additions: both, spareDescriptors: 2},
		{name: "empty", binary: "tempdir", serves: true, words: words("delete /root"), root: "root", scene: scene},
		{name: "recover", binary: "tempdir", serves: true, words: words("recover /root"), root: "root", scene: old},
		{name: "rm", binary: "afterlock", words: words("rm /layers/v1 /layers/v2"), root: "layers/.afterlock-" + strconv.Itoa(os.Geteuid()), scene: layers(), victims: both},
		{name: "rmroot", binary: "afterlock", words: words("rm --root /root /layers/v1"), root: "root", scene: join(stale(), layers()), victims: both[:1]},
		{name: "recovercommand", binary: "afterlock", words: words("recover --lock-grace=0 --orphan-grace=0 /root"), root: "root", scene: old},
	}
}

// orphans are the ids of the root that have data and no lock file.
func (t tree) orphans(root string) []string { return world.Tree(t).Orphans(root) }

func words(text string) []string { return strings.Fields(text) }

// at returns the words with the paths of a scene at dir.
func at(words []string, dir string) []string {
	var absolute []string
	for _, word := range words {
		if strings.HasPrefix(word, "/") {
			word = dir + word
		}
		absolute = append(absolute, word)
	}
	return absolute
}

// whole is what every layer of a scene holds.
var whole = func() world.Tree { inner, _ := layer("x").below("x"); return world.Tree(inner) }()

// judge says what is wrong with the tree: after a crash, or after a recovery,
// or after the program has said that it was done, and so all is done.
//
// A layer is whole or not there, whatever happened, and one that the program
// has nothing to do with is there. Data has its lock file (rule 4). Once
// recovered, nothing is left of any instance.
func (p *program) judge(t tree, recovered, done bool) (problems []string) {
	if p.store != "" {
		return p.judgeStore(t, recovered, done)
	}
	want := world.Want{Root: p.root, Orphans: p.scene.orphans(p.root), NoOrphans: true, Recovered: recovered}
	add := func(home string, reply world.Reply) {
		for i := range want.Layers {
			if want.Layers[i].Home == home {
				want.Layers[i].Reply = reply
				return
			}
		}
		want.Layers = append(want.Layers, world.Layer{Home: home, Tree: whole, Reply: reply})
	}
	for _, n := range p.scene {
		if path.Dir(n.Path) == "layers" {
			add(n.Path, world.There)
		}
	}
	after := map[bool][2]world.Reply{true: {world.Gone, world.There}}[done]
	for _, v := range p.victims {
		add(v, after[0])
	}
	for _, a := range p.additions {
		add(a, after[1])
	}
	for _, f := range world.Check(world.Tree(t), &want) {
		problems = append(problems, f.String())
	}
	return problems
}
