//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// judgeStore is judge for a layer store: metadata and data agree.
//
// Every layer that is listed is whole, byte for byte, with all its parts. What is
// in no record is not there, at no time: a flag is saved before the first part
// moves in, and a record goes after the last one moved away. A flagged layer may
// have any of its parts until it is recovered; then it is gone from the metadata,
// from the layout and from the instances. What is deleted at once is listed at
// once, or not.
func (p *program) judgeStore(t tree, recovered, done bool) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	c, err := t.catalogue()
	if err != nil {
		return []string{err.Error()}
	}
	listed := c.listed()
	if before, after := p.outcomes(); done && !slices.Equal(listed, after) {
		problem("it reported success, and the layers are %q, not %q", listed, after)
	} else if !slices.Equal(listed, before) && !slices.Equal(listed, after) {
		problem("the layers are %q, and were to be %q or %q", listed, before, after)
	}
	wanted := []tree{layoutDirectories[p.store], directory(storeRoot)}
	flagged := []string{}
	for i := range c.Layers {
		r := &c.Layers[i]
		if r.Parent != "" && c.find(r.Parent) == nil {
			problem("layer %s has a parent without a record, %s", r.ID, r.Parent)
		}
		if parts := c.parts(r); !r.Incomplete {
			wanted = append(wanted, parts)
		} else if recovered {
			problem("layer %s is still flagged", r.ID)
		} else {
			flagged = append(flagged, parts[0].Path, c.link(r).Path)
		}
	}
	inner, _ := t.below(storeDir)
	lacks, extra := join(wanted...).difference(inner.put(storeDir)[1:])
	for _, n := range lacks {
		problem("%s is lost or not what it was", n.Path)
	}
	for _, n := range extra {
		switch {
		case n.Path == metadataPath, n.Path == metadataPath+".spare", n.Path == storeDir+"/store.lock":
		case strings.HasPrefix(n.Path, storeRoot+"/"):
			if recovered {
				problem("left in the root: %s", n.Path)
			}
		case !slices.ContainsFunc(flagged, func(part string) bool { return n.Path == part || strings.HasPrefix(n.Path, part+"/") }):
			problem("%s is there, and of no layer that has a record", n.Path)
		}
	}
	for _, id := range t.orphans(storeRoot) {
		if !slices.Contains(p.scene.orphans(storeRoot), id) {
			problem("data without lock file, which only power loss may leave: temp-dir-%s", id)
		}
	}
	return problems
}

// outcomes are the ids of the layers before the program, and after it.
func (p *program) outcomes() (before, after []string) {
	c, err := p.scene.catalogue()
	if err != nil {
		return nil, nil
	}
	before = c.listed()
	for _, id := range append(before[:len(before):len(before)], p.additions...) {
		if !slices.Contains(p.victims, id) {
			after = append(after, id)
		}
	}
	slices.Sort(after)
	return before, after
}

// judgeRecovery says what is wrong with the tree after a recovery that found the
// tree before. A recovery finishes what took effect and undoes what did not, but
// which layers there are has been decided before it: a deletion that took effect
// is never taken back, and neither is an addition.
func (p *program) judgeRecovery(before, after tree, done bool) []string {
	problems := p.judge(after, true, done)
	if p.store == "" {
		return problems
	}
	a, err := before.catalogue()
	if err != nil {
		return problems // was found before
	}
	if b, err := after.catalogue(); err == nil && !slices.Equal(a.listed(), b.listed()) {
		problems = append(problems, fmt.Sprintf("the layers were %q before the recovery, and are %q", a.listed(), b.listed()))
	}
	return problems
}

// judgeEffect holds the effect that an error reports against the disk.
func (p *program) judgeEffect(answer string, t tree) (problems []string) {
	c, err := t.catalogue()
	if err != nil {
		return nil // is found anyway
	}
	before, after := p.outcomes()
	listed := c.listed()
	_, said, _ := strings.Cut(answer, "error: ")
	said, _, _ = strings.Cut(said, ":")
	wants, known := map[string][][]string{
		"no effect": {before}, "took effect": {after}, "may have taken effect": {before, after},
	}[said]
	switch {
	case !known:
		return []string{fmt.Sprintf("the error says nothing about its effect: %q", answer)}
	case !slices.ContainsFunc(wants, func(ids []string) bool { return slices.Equal(ids, listed) }):
		return []string{fmt.Sprintf("the error says %q, and the layers are %q: %s", said, listed, answer)}
	}
	return nil
}

// recovery is the command that recovers what the program works on, and the
// driver that has it.
func (p *program) recovery() (binary, command, dir string) {
	if p.store != "" {
		return "layers", "recover", path.Dir(p.root)
	}
	return "tempdir", "recover", p.root
}
