//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// stands is the durability model that stands for a file system.
var stands = map[string]disk.Durability{"ext4": disk.Ordered, "xfs": disk.Ordered, "btrfs": disk.Weak}

// ordered are the file systems of which tempdir knows that they order names, see
// tempdir.Root.Ordered.
var ordered = []string{"ext4", "xfs"}

// readTables reads what is in the directory.
func readTables(dir string) (tables []*table, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		t, err := parseTable(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		tables = append(tables, t)
	}
	slices.SortStableFunc(tables, func(a, b *table) int {
		return cmp.Or(slices.Index(fileSystems, a.fs)-slices.Index(fileSystems, b.fs), slices.Compare(b.version(), a.version()))
	})
	return tables, nil
}

// version is that of the kernel in numbers, so that 6.18 is after 6.2.
func (t *table) version() (numbers []int) {
	for part := range strings.SplitSeq(majorMinor.FindString(t.kernel), ".") {
		n, _ := strconv.Atoi(part) // digits
		numbers = append(numbers, n)
	}
	return numbers
}

var fileSystems = []string{"ext4", "xfs", "btrfs"}

func (t *table) states() (n int) {
	for _, r := range t.cases {
		for _, s := range r.seen {
			n += s.states
		}
	}
	return n
}

// cell is a cell of the page.
func (n count) cell(fine, wrong string) string {
	switch {
	case n.of == 0:
		return ""
	case n.wrong == 0:
		return fmt.Sprintf("%s %d", fine, n.of)
	}
	return fmt.Sprintf("**%s %d** of %d", wrong, n.wrong, n.of)
}

// sum adds counts of cases, those that the table has.
func (t *table) sum(cases []*litmus, of func(c *litmus, r *result) count) (sum count) {
	for _, c := range cases {
		if r := t.cases[c.name]; r != nil {
			n := of(c, r)
			sum.of, sum.wrong, sum.example = sum.of+n.of, sum.wrong+n.wrong, cmp.Or(sum.example, n.example)
		}
	}
	return sum
}

// kept, inOrder and held say whether what was synced was durable, whether what was left is
// a moment of the program, and whether the promise was kept.
func kept(c *litmus, r *result) count    { return r.lost(follow(c)) }
func inOrder(c *litmus, r *result) count { return r.disordered(follow(c)) }
func held(c *litmus, r *result) count    { return r.broken(c) }

// pick are the cases of a row, in one of the columns.
func pick(row string, columns ...string) (cases []*litmus) {
	for _, c := range allCases() {
		if c.row == row && slices.Contains(columns, c.column) {
			cases = append(cases, c)
		}
	}
	return cases
}

// page is docs/litmus.md.
func page(dir string) (string, error) {
	tables, err := readTables(dir)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprint(&b, beginning)
	heads := func(first string) {
		fmt.Fprintf(&b, "\n| %s |", first)
		for _, t := range tables {
			fmt.Fprintf(&b, " %s, %s |", t.fs, majorMinor.FindString(t.kernel))
		}
		fmt.Fprintf(&b, "\n| --- |%s\n", strings.Repeat(" --- |", len(tables)))
	}
	line := func(first string, cell func(*table) string) {
		fmt.Fprintf(&b, "| %s |", first)
		for _, t := range tables {
			fmt.Fprintf(&b, " %s |", cell(t))
		}
		fmt.Fprintln(&b)
	}
	heads("")
	line("contents of the disk", func(t *table) string { return fmt.Sprint(t.states()) })
	line("kernel", func(t *table) string { return t.kernel })
	line("mounted with", func(t *table) string { return strings.ReplaceAll(t.how, ",", ", ") })

	fmt.Fprint(&b, "\n## What an fsync makes durable\n")
	for _, column := range columns[1:] {
		fmt.Fprintf(&b, "\nAfter the operation and %s:\n", synced[column])
		heads("operation")
		for _, o := range operations {
			if _, has := o.after(column); has {
				line(o.name, func(t *table) string { return t.sum(pick(o.name, column), kept).cell("kept", "lost") })
			}
		}
	}
	fmt.Fprint(&b, orders)
	for _, part := range []struct {
		name    string
		columns []string
	}{{"alone", columns[:4]}, {"with something else after it", columns[4:]}} {
		heads("operation, " + part.name)
		for _, o := range operations {
			line(o.name, func(t *table) string { return t.sum(pick(o.name, part.columns...), inOrder).cell("in order", "not") })
		}
	}
	fmt.Fprint(&b, promised)
	heads("promise, with the fsync")
	for _, p := range promises {
		for _, s := range p.s {
			line(p.title()+": "+cmp.Or(s, "none"), func(t *table) string { return t.sum(pick(p.name, s), held).cell("held", "broken") })
		}
	}
	fmt.Fprint(&b, policy)
	heads("promise")
	for _, p := range promises {
		line(p.title(), func(t *table) string { return t.least(p) })
	}
	fmt.Fprint(&b, code, calibrated)
	heads("model")
	for m := range disk.Durability(disk.Durabilities) {
		line(m.String(), func(t *table) string {
			n := t.contained(m)
			switch {
			case n.outside > 0:
				return fmt.Sprintf("%d of %d outside", n.outside, n.trees)
			case stands[t.fs] == m:
				return fmt.Sprintf("**contains all %d**; %d of its %d seen", n.trees, n.met, n.allowed)
			}
			return fmt.Sprintf("contains all %d; %d of its %d seen", n.trees, n.met, n.allowed)
		})
	}
	return b.String(), nil
}

// title is the promise's name, in parentheses if it need not be kept.
func (p promise) title() string {
	if p.tolerated != "" {
		return "(" + p.name + ")"
	}
	return p.name
}

// least is the first sync of the promise's that is enough.
func (t *table) least(p promise) string {
	for _, s := range p.s {
		if n := t.sum(pick(p.name, s), held); n.of > 0 && n.wrong == 0 {
			return cmp.Or(s, "none")
		}
	}
	return "?"
}

var synced = map[string]string{
	"the file": "fsync of the file or directory itself", "the directory it leaves": "fsync of the directory that it leaves",
	"its directory": "fsync of the directory in which it is then (of an unlink: was)", "another file": "a write to another file in another directory, and fsync of that",
	"metadata, saved elsewhere": "a save of metadata in another directory: write and fsync a spare, exchange the names, fsync the directory",
}

const beginning = `# What survives power loss: litmus programs on real file systems

Made by ` + "`go run ./crashsim/powerloss/litmus --page`" + ` from what [the tool](../crashsim/powerloss/litmus/main_linux.go) saw, which is in [data](../crashsim/powerloss/litmus/data): every program, and what was left after how many of its steps, with the number of different contents of the disk that left it. Each program runs on a disk whose writes and flushes are recorded; every prefix of them, and subsets of those that no flush had made durable, is mounted by the kernel, which recovers its journal. The numbers are those contents; a 1 says that the fsync wrote all there was at once, not that little was tried. Linux 6.1 ran the programs in a virtual machine; what it left was mounted by the other kernel.

A number says that nothing else was seen, not that nothing else can be: writes are lost whole, the disk does what it says about flushes, and nothing but the program writes to the file system at the time. There is no f2fs: no kernel here has it, and that of a virtual machine only runs the programs; it would have to mount what they left, too.
`

const orders = `
## Whether anything is left that never was

What is left is a moment of the program (old, new, or between two of its steps), or it is not: a part of a change, an empty or torn file, or a later change without an earlier one.
`

const promised = `
## What the protocol promises

Each promise with nothing, or with one more fsync, in the place where tempdir and layerstore have one where they need it; what comes after it is made durable by nothing, by an fsync of what the program has changed, or by somebody else's. *Broken* are contents of the disk that must not be left.
`

const policy = `
## The least that is needed

The first of the fsyncs that is enough; a promise in parentheses is not made, because recovery adopts data without a lock file (rule 3):
`

const code = `
What the code does, and [how often](../tempdir/layerstore/testdata/fsyncs.txt) (a test counts):

- On ext4 and xfs tempdir syncs nothing, and layerstore nothing but its metadata: the spare and its directory, in each save, under the lock. A durable layer ([Sync](../tempdir/layerstore/options.go)) adds one syncfs, without the lock. That is the least: the fsync of the directory, which the order of the flag alone does not need there, is what lets the next save write over the spare, and what makes an acknowledged deletion durable.
- Elsewhere tempdir syncs the directory of the instance before it removes anything, without any lock (for layerstore the second time, when there is nothing left to write). Where that is not done nothing torn was seen on btrfs; the weak model needs it. Under the lock layerstore syncs it before a record goes, and the directories of a layer before a record is complete: without either of these btrfs breaks the promise.
- [Dir.Sync](../tempdir/dirty.go) syncs, before the instance's directory, each directory that a victim left which is no directory, like the link of an overlay layer. On btrfs that costs a deletion nothing: the first of the two fsyncs commits everything, and the second has nothing to write.
- ` + "`go test ./tempdir/layerstore -run - -bench WaitsForTheDisk`" + ` measures what that costs a deletion and a durable layer on each file system, under the lock and without: *save* is the metadata, *names* the rest, which is nothing on ext4 and xfs. On an idle machine with 2 cores, images on its disk, 40 operations:

| ms an operation, idle | a deletion: save, locked | names, locked | names, without | a durable overlay layer: save, locked | names, locked | names, without | content, without |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| ext4 | 1.6 | 0 | 0 | 1.8 | 0 | 0 | 1.3 |
| xfs | 1.0 | 0 | 0 | 0.9 | 0 | 0 | 1.5 |
| btrfs | 2.0 | 0.8 | 0.0 | 2.0 | 1.3 | 0.8 | 1.5 |

## What is under the lock, and need not be

On ext4 and xfs no fsync of *names* is under the store lock. On btrfs one that has anything to write is for a deletion (0.8 ms) and two are for an overlay layer (1.3 ms), beside two saves each (2.0 ms); on a busy disk it was 7.0, 5.5 and some 10 ms. Only this order matters: the flag is durable before anything moves; the rename is durable before a record that goes, or that is complete, is; and success is reported after both. Neither needs the lock between the moves and the last save, but it cannot just be dropped there, since whoever saves meanwhile makes the same file durable, and whoever loads meanwhile finishes what is flagged.

- *Deletion in two parts*: flag, claim the layer, move, drop the lock; fsync; take the lock again, drop the record, save. The claim keeps others off, as it does for a layer that is removed where it is (spec: StoreInPlace.tla), so the promises are the same ones. 0.8 ms less in one piece, but one more acquisition of the lock and one more read of the metadata; and who creates a layer with that id meanwhile gets ErrBusy where it waits now.
- *The flag as the tombstone*: flag, move, drop the lock; fsync; report success. A flagged record of which nothing is at home is a deletion that was done: after power loss the next load forgets it. It is dropped by whoever saves next, once the instance is gone. One save less under the lock on every file system, about half of what a deletion holds it; but readers meet records of what is gone, and who adds that id has to drop the record in its first save.
- *Commit*: the same with a claim from the flag to the complete record. Without the claim a load would take the layer away that is in place and still flagged.

None of the three is built, and that is a shortfall, of a third of what a deletion holds the lock on btrfs: there it still waits under the lock for one fsync of names that writes, and an overlay layer for two; and the saves are under it on every file system. Each of the three lets others see what they never see now: a flagged layer without the lock, or without a claim. That is a change of what the model (LayerStore.tla), those who load, and the store beside ours may meet, before it is one of code. What is built saves more where many delete: deletions that wait together [share their saves](../spec/StoreGroup.tla), though not their names.
`

const calibrated = `
## Calibration of the simulated disk

[Simulated power loss](../crashsim/disk/durability.go) has three durability models, which are those of [the specification](../spec/README.md#durability) and of its proof. A tree that a real file system left, and that the model does not allow after as many steps, would be *outside*. The model in bold stands for the file system; how many of the trees that it allows were seen says how tight it is.

On btrfs a rename of a *file* to another directory is not atomic: fsync of the directory that it came to makes the new name durable without the old one's going, and after power loss the file has both. What has to be gone for good, like a victim that was staged, needs an fsync of the directory that it left. Of a directory that was renamed nothing like it was seen: there btrfs commits everything. So a rename is atomic in these models, but for that of a file to another directory in *weak*; what removes the old name survives only with what made the new one.
`
