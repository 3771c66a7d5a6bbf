package powerloss

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/world"
)

// A judge mounts states of a recording and says what is wrong with them.
type judge struct {
	*recording
	*Replayer
	driver string
	counts Counts
	images map[uint64]string // the tree of each image that was mounted, by its sum
	seen   map[string]bool   // trees, with what was promised
	found  []Found
	noted  map[string]bool                       // claims with the power losses in found: a tree is seen twice
	said   int                                   // findings, of both looks
	say    func(format string, arguments ...any) // may be nil
}

func newJudge(r *recording, replayer *Replayer, driver string) *judge {
	return &judge{recording: r, Replayer: replayer, driver: driver,
		images: make(map[uint64]string), seen: make(map[string]bool), noted: make(map[string]bool)}
}

// judge looks at the state that power losses leave, recovers, and looks again. All of them
// leave the same one; what was promised before may differ.
func (g *judge) judge(same []Cut) error {
	image, err := g.make(same[0])
	if err != nil {
		return err
	}
	tree, known := g.images[image]
	if known && len(g.fresh(same, tree)) == 0 {
		return nil
	}
	if !known {
		g.counts.States++
	}
	var refused *MountError
	if err := g.mount(); errors.As(err, &refused) {
		g.wrong(same[0], world.Finding{Claim: Mounts, Path: g.job.FileSystem, Detail: refused.Error()})
		return nil
	} else if err != nil {
		return err
	}
	return errors.Join(g.mounted(image, same), g.Unmount())
}

// fresh are those of the cuts before which something else was promised than before any
// other that left the tree.
func (g *judge) fresh(same []Cut, tree string) (fresh []Cut) {
	for _, c := range same {
		if !g.seen[g.key(c, tree)] {
			fresh = append(fresh, c)
		}
	}
	return fresh
}

func (g *judge) key(c Cut, tree string) string {
	return fmt.Sprintf("%q %s", MarksBefore(g.recording.log, c.At), tree)
}

// wrong notes a finding.
func (g *judge) wrong(c Cut, f world.Finding) {
	if g.say != nil {
		g.say("  FINDING %v\n", f)
	}
	g.said++
	key := fmt.Sprint(f.Claim, c)
	if g.noted[key] {
		return
	}
	g.noted[key] = true
	for i := range g.found {
		if g.found[i].Claim == f.Claim {
			g.found[i].Trees++
			return
		}
	}
	g.found = append(g.found, Found{f, g.job.at(c).String(), 1})
}

// mounted judges what is mounted: the state of each of the cuts.
func (g *judge) mounted(image uint64, same []Cut) error {
	tree, err := looked(g.Dir())
	if err != nil {
		g.wrong(same[0], world.Finding{Claim: Mounts, Path: g.job.FileSystem, Detail: err.Error()})
		return nil
	}
	text := fmt.Sprintf("%q", tree)
	gone := func(mark string) bool { return strings.HasPrefix(mark, "gone ") }
	if _, known := g.images[image]; !known && slices.ContainsFunc(MarksBefore(g.recording.log, same[len(same)-1].At), gone) {
		g.counts.Acknowledged++
	}
	g.images[image] = text
	leak := false
	same = g.fresh(same, text)
	for _, c := range same {
		g.seen[g.key(c, text)] = true
	}
	if len(same) == 0 {
		return nil
	}
	g.counts.Trees += len(same)
	check := func(tree world.Tree, recovered bool) {
		for _, c := range same {
			want, seen, torn, err := g.p.want(MarksBefore(g.recording.log, c.At), tree, recovered)
			if err != nil {
				g.wrong(c, world.Finding{Claim: world.WholeOrFlagged, Path: "metadata", Detail: err.Error()})
				continue
			}
			if torn > 0 && !recovered {
				g.counts.Torn++
			}
			if inner, _ := seen.Below(want.Root); len(inner) > 0 {
				leak = true
			}
			for _, f := range world.Check(seen, &want) {
				if f.Claim == world.NoLeak && !recovered {
					leak = true
					continue
				}
				g.wrong(c, f)
			}
		}
		if g.say != nil {
			for _, n := range tree {
				g.say("  on disk: %s\n", n.Path)
			}
		}
	}
	check(tree, false)
	if leak {
		g.counts.Leaks++
	}
	if g.say != nil {
		g.say("recovery\n")
	}
	if err := g.p.recover(&site{dir: g.Dir(), driver: g.driver}); err != nil {
		g.wrong(same[0], world.Finding{Claim: world.CallsSucceed, Path: "recovery", Detail: err.Error()})
		return nil
	}
	if tree, err = looked(g.Dir()); err != nil {
		return err
	}
	check(tree, true)
	return nil
}

// want is what must be true after the marks, and seen is the tree as world.Check knows
// it. torn counts layers whose content was not promised, and is not whole.
func (p *program) want(marks []string, tree world.Tree, recovered bool) (want world.Want, seen world.Tree, torn int, err error) {
	want = world.Want{Root: rootName, Recovered: recovered}
	if p.look != nil {
		if tree, err = p.look(tree); err != nil {
			return want, nil, 0, err
		}
	}
	content := content
	if p.content != nil {
		content = p.content
	}
	for _, l := range p.layers {
		layer := world.Layer{Home: layersName + "/" + l.id, Tree: content, Reply: l.first}
		if l.recorded {
			layer.Record = metaName + "/" + l.id
		}
		for _, mark := range marks {
			switch what, id, _ := strings.Cut(mark, " "); {
			case id != l.id:
			case what == "pending":
				layer.Reply = world.Pending
			case what == "gone":
				layer.Reply = world.Gone
			case what == "there":
				layer.Reply = world.There
			}
		}
		want.Layers = append(want.Layers, layer)
		if inner, is := tree.Below(layer.Home); l.loose && is && !slices.Equal(inner, content) {
			torn++
			tree = slices.DeleteFunc(slices.Clone(tree), func(n world.Node) bool { return strings.HasPrefix(n.Path, layer.Home+"/") })
			for _, n := range content {
				n.Path = layer.Home + "/" + n.Path
				tree = append(tree, n)
			}
		}
	}
	for _, n := range tree {
		switch {
		case n.Path == noiseName, n.Path == metaName, n.Path == layersName, n.Path == "lost+found":
		case !recovered && strings.HasPrefix(n.Path, metaName+"/") && strings.HasSuffix(n.Path, ".new"):
		default:
			seen = append(seen, n)
		}
	}
	return want, seen, torn, nil
}

// looked looks at what is below dir.
func looked(dir string) (world.Tree, error) {
	tree, err := world.Look(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EUCLEAN) {
		return nil, fmt.Errorf("the file system is damaged: %w", err)
	}
	return tree, err
}
