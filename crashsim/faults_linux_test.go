package crashsim

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/world"
	"github.com/afterlock/afterlock/internal/kernel"
)

func init() {
	faults["data-before-lock"] = fault{wrap: func(k kernel.Kernel) kernel.Kernel { return &dataBeforeLock{Kernel: k} }}
	faults["lock-file-first"] = fault{wrap: func(k kernel.Kernel) kernel.Kernel { return &lockFileFirst{Kernel: k} }}
	faults["no-sync"] = fault{wrap: func(k kernel.Kernel) kernel.Kernel { return neverSyncs{k} }}
	faults["no-recheck"] = fault{wrap: func(k kernel.Kernel) kernel.Kernel { return &ghost{Kernel: k} }}
	faults["in-place"] = fault{remove: deletesInPlace}
	faults["flag-after-rename"] = fault{remove: flagsAfterRename}
	faults["keeps-lock"] = fault{wrap: func(k kernel.Kernel) kernel.Kernel { return keepsLock{k} }}
}

// dataBeforeLock makes the data directory before the lock file has its name.
type dataBeforeLock struct {
	kernel.Kernel
	made string
}

func (k *dataBeforeLock) LinkLock(fd, root int, name string) error {
	k.made = strings.Replace(name, lockPrefix, dataPrefix, 1)
	if err := k.Kernel.MakeData(root, k.made); err != nil && err != unix.EEXIST {
		return err
	}
	return k.Kernel.LinkLock(fd, root, name)
}

func (k *dataBeforeLock) MakeData(root int, name string) error {
	if name == k.made {
		return nil
	}
	return k.Kernel.MakeData(root, name)
}

// lockFileFirst unlinks the lock file when the removal of the data begins.
type lockFileFirst struct {
	kernel.Kernel
	gone string
}

func (k *lockFileFirst) OpenDirectory(dir int, name string) (int, error) {
	if id, ok := strings.CutPrefix(name, dataPrefix); ok {
		k.gone = lockPrefix + id
		_ = k.Kernel.RemoveLock(dir, k.gone)
	}
	return k.Kernel.OpenDirectory(dir, name)
}

// neverSyncs says that every file system orders.
type neverSyncs struct{ kernel.Kernel }

func (k neverSyncs) OpenRoot(path string) (int, bool, error) {
	fd, _, err := k.Kernel.OpenRoot(path)
	return fd, true, err
}

// ghost answers every recheck with the inode that is held: no recheck at all.
type ghost struct {
	kernel.Kernel
	held kernel.Attributes
}

func (k *ghost) Stat(fd int) (kernel.Attributes, error) {
	a, err := k.Kernel.Stat(fd)
	a.Links = 1
	k.held = a
	return a, err
}

func (k *ghost) StatName(dir int, name string) (kernel.Attributes, error) {
	if strings.HasPrefix(name, lockPrefix) {
		return k.held, nil
	}
	return k.Kernel.StatName(dir, name)
}

// keepsLock never unlinks a lock file.
type keepsLock struct{ kernel.Kernel }

func (keepsLock) RemoveLock(int, string) error { return nil }

// deletesInPlace unlinks the files where they are.
func deletesInPlace(s *Scenario, b batch) func(*actor) error {
	return func(a *actor) error {
		err := a.save("/"+b.record, world.Incomplete)
		for _, home := range b.layers {
			for _, name := range s.files() {
				err = errors.Join(err, a.forget("/"+home+"/"+name))
			}
			err = errors.Join(err, a.forget("/"+home))
		}
		return errors.Join(err, a.forget("/"+b.record))
	}
}

// flagsAfterRename flags the record when the layers have been moved in.
func flagsAfterRename(s *Scenario, b batch) func(*actor) error {
	return func(a *actor) error {
		dir, err := a.root.Create()
		if err != nil {
			return err
		}
		for _, home := range b.layers {
			err = errors.Join(err, dir.StageDeletion("/"+home))
		}
		err = errors.Join(err, a.save("/"+b.record, world.Incomplete), a.sync("/"+metaName))
		return errors.Join(err, a.forget("/"+b.record), dir.Close(context.Background()))
	}
}

func TestPlantedFaultsAreCaught(t *testing.T) {
	const yes, no = true, false
	for _, test := range []struct {
		fault  string
		claim  world.Claim             // the first that is found false
		models [disk.Durabilities]bool // ordered, perDirectory, weak: caught
	}{
		{"data-before-lock", world.DataHasLock, [...]bool{yes, yes, yes}},
		{"lock-file-first", world.DataHasLock, [...]bool{yes, yes, yes}},
		{"in-place", world.ReachableWhole, [...]bool{yes, yes, yes}},
		{"flag-after-rename", world.WholeOrFlagged, [...]bool{yes, yes, yes}},
		{"no-sync", world.ReachableWhole, [...]bool{no, yes, yes}},
		{"keeps-lock", world.NothingLeft, [...]bool{yes, yes, yes}},
		{"no-recheck", world.DataHasLock, [...]bool{yes, yes, yes}},
		{"", "", [...]bool{no, no, no}},
	} {
		name := test.fault
		if name == "" {
			name = "none"
		}
		t.Run(name, func(t *testing.T) {
			for m, caught := range test.models {
				s := Scenario{Deleters: 1, Victims: 2, Files: 2, fault: test.fault}
				if test.fault == "no-recheck" || test.fault == "" {
					s.Recoverers, s.Named = 1, true // a recoverer comes between
				}
				if m > 0 {
					s.Syncs = AllSyncs
					if test.fault == "no-sync" {
						s.Syncs = []string{"flag", "data"} // "record" syncs the data directory too
					}
				}
				report, err := runJobs(t.Context(), []job{{scenario: s, model: disk.Durability(m)}}, 1, 1, Options{})
				require.NoError(t, err)
				if !caught {
					assert.Empty(t, report.Problems(), "%v", disk.Durability(m))
					continue
				}
				var first *Found
				for i := range report.Findings {
					if report.Findings[i].Claim == test.claim {
						first = &report.Findings[i]
					}
				}
				if assert.NotNil(t, first, "%v catches it with %s; found: %v", disk.Durability(m), test.claim, report.Problems()) {
					repeats(t, *first)
				}
			}
		})
	}
}

// repeats checks that the command of a finding shows it again.
func repeats(t *testing.T, f Found) {
	t.Helper()
	text, ok := strings.CutPrefix(f.Repeat, "afterlock replay ")
	require.True(t, ok)
	var out bytes.Buffer
	findings, err := Replay(t.Context(), text, &out)
	require.NoError(t, err, f.Repeat)
	assert.Positive(t, findings, f.Repeat)
	assert.Contains(t, out.String(), "FINDING "+f.Finding.String(), "%s\n%s", f.Repeat, out.String())
}

func TestSoftLayerCatchesPlantedFaults(t *testing.T) {
	for name, claim := range map[string]world.Claim{"data-before-lock": world.DataHasLock, "lock-file-first": world.DataHasLock, "keeps-lock": world.NothingLeft} {
		report, err := Soft(t.Context(), memory(t), Scenario{Deleters: 1, Victims: 1, Files: 1, fault: name})
		require.NoError(t, err)
		caught := false
		for _, f := range report.Findings {
			if f.Claim == claim && !caught {
				caught = true
			}
		}
		assert.True(t, caught, "%s is caught with %s", name, claim)
	}
}

// memory is a directory on a file system in memory, if there is one.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "afterlock-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
