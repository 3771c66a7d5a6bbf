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
	shapes map[string]bool   // what was seen, without what differs in each run; nil: nobody asks
	found  []Found
	noted  map[string]bool                       // claims with the power losses in found: a tree is seen twice
	said   int                                   // findings, of both looks
	say    func(format string, arguments ...any) // may be nil
}

func newJudge(r *recording, replayer *Replayer, driver string) *judge {
	return &judge{recording: r, Replayer: replayer, driver: driver,
		images: make(map[uint64]string), seen: make(map[string]bool), noted: make(map[string]bool)}
}

// A moment is one when power is lost.
type moment struct {
	marks  []string
	repeat string // the schedule
}

// promised is a tree with what was promised before.
func (m moment) promised(tree string) string { return fmt.Sprintf("%q %s", m.marks, tree) }

// acknowledged reports whether it was said that a layer is gone.
func (m moment) acknowledged() bool {
	return slices.ContainsFunc(m.marks, func(mark string) bool { return strings.HasPrefix(mark, "gone ") })
}

// moments are those of the cuts.
func (r *recording) moments(cuts []Cut) (all []moment) {
	for _, c := range cuts {
		all = append(all, moment{MarksBefore(r.log, c.At), r.job.at(c).String()})
	}
	return all
}

// judge looks at the state that power losses leave, recovers, and looks again. All of them
// leave the same one; what was promised before may differ.
func (g *judge) judge(same []Cut) error {
	image, err := g.make(same[0])
	if err != nil {
		return err
	}
	moments := g.moments(same)
	tree, known := g.images[image]
	if !known {
		g.counts.States++
		if moments[len(moments)-1].acknowledged() {
			g.counts.Acknowledged++
		}
	} else if len(g.fresh(moments, tree)) == 0 {
		return nil
	}
	g.images[image], err = g.judgeMount(g.mount(), moments)
	return err
}

// fresh are those of the moments before which something else was promised than before any
// other that left the tree.
func (g *judge) fresh(same []moment, tree string) (fresh []moment) {
	for _, m := range same {
		if !g.seen[m.promised(tree)] {
			fresh = append(fresh, m)
		}
	}
	return fresh
}

// done reports whether the job is: it was to find something, and did.
func (g *judge) done() bool {
	until := g.job.Until
	return until != "" && slices.ContainsFunc(g.found, func(f Found) bool { return f.Claim == until })
}

// wrong notes a finding.
func (g *judge) wrong(m moment, f world.Finding) {
	if g.say != nil {
		g.say("  FINDING %v\n", f)
	}
	g.said++
	key := fmt.Sprint(f.Claim, m.repeat)
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
	g.found = append(g.found, Found{f, m.repeat, 1})
}

// judgeMount judges what was mounted, if it was, and unmounts it.
func (g *judge) judgeMount(mounting error, same []moment) (tree string, err error) {
	var refused *MountError
	if errors.As(mounting, &refused) {
		g.wrong(same[0], world.Finding{Claim: Mounts, Path: g.job.FileSystem, Detail: refused.Error()})
		return "", nil
	} else if mounting != nil {
		return "", mounting
	}
	tree, err = g.mounted(same)
	return tree, errors.Join(err, g.Unmount())
}

// mounted judges what is mounted: the state of each of the moments.
func (g *judge) mounted(same []moment) (text string, err error) {
	tree, err := looked(g.Dir())
	if err != nil {
		g.wrong(same[0], world.Finding{Claim: Mounts, Path: g.job.FileSystem, Detail: err.Error()})
		return "", nil
	}
	text = fmt.Sprintf("%q", tree)
	leak := false
	same = g.fresh(same, text)
	for _, m := range same {
		g.seen[m.promised(text)] = true
	}
	if len(same) == 0 {
		return text, nil
	}
	g.counts.Trees += len(same)
	check := func(tree world.Tree, recovered bool) {
		for _, m := range same {
			want, seen, torn, err := g.p.want(m.marks, tree, recovered)
			if err != nil {
				g.wrong(m, world.Finding{Claim: world.WholeOrFlagged, Path: "metadata", Detail: err.Error()})
				continue
			}
			if torn > 0 && !recovered {
				g.counts.Torn++
			}
			if g.shapes != nil && !recovered {
				g.shapes[shape(seen)] = true
			}
			if inner, _ := seen.Below(want.Root); len(inner) > 0 {
				leak = true
			}
			for _, f := range world.Check(seen, &want) {
				if f.Claim == world.NoLeak && !recovered {
					leak = true
					continue
				}
				g.wrong(m, f)
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
		return text, nil
	}
	if tree, err = looked(g.Dir()); err != nil {
		return text, err
	}
	check(tree, true)
	return text, nil
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
		layer := world.Layer{Home: layersName + "/" + l.id, Tree: content, Loose: l.file, Reply: l.first}
		if l.file {
			layer.Tree = nil
		}
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
