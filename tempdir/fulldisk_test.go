//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A fullDisk is a file system on which something runs out.
type fullDisk struct {
	name    string
	make    func(testing.TB) string
	inodes  bool // run out, and not blocks
	creates bool // an instance needs nothing that ran out
}

var fullDisks = []fullDisk{
	{"tmpfs without blocks", func(t testing.TB) string { return testfs.Tmpfs(t, "size=1m") }, false, true},
	{"tmpfs without inodes", func(t testing.TB) string { return testfs.Tmpfs(t, "nr_inodes=60") }, true, false},
	{"ext4 without blocks", func(t testing.TB) string { return testfs.Ext4(t, testfs.Ext4Options{MiB: 4}) }, false, false},
	{"ext4 without inodes", func(t testing.TB) string { return testfs.Ext4(t, testfs.Ext4Options{MiB: 8, Inodes: 96}) }, true, false},
	{"xfs without blocks", testfs.Xfs, false, false},
	{"btrfs without blocks", testfs.Btrfs, false, true},
}

// A full disk is when a deletion is needed most: what is there can be staged,
// removed and recovered without a block or an inode.
func TestFullDisk(t *testing.T) {
	if !mounting(t) {
		return
	}
	for _, disk := range fullDisks {
		t.Run(disk.name, func(t *testing.T) {
			s := newSceneAt(t, disk.make(t))
			dir, err := s.root.Create()
			require.NoError(t, err)
			filler := beside(s.root, "filler")
			testfs.Fill(t, filler, disk.inodes)
			before := rootNames(t, s.root)

			another, err := s.root.Create()
			if disk.creates {
				require.NoError(t, err)
				require.Nil(t, instanceOf(t, s.root, another.ID()).Owner, "the record is not worth a failure")
				require.NoError(t, another.Close(background))
			} else {
				requireRefusal(t, err, "create", s.root.Path(), unix.ENOSPC)
			}
			require.Equal(t, before, rootNames(t, s.root), "a failed create leaves nothing")

			require.NoError(t, dir.StageDeletion(s.victim))
			require.NoFileExists(t, s.victim)
			require.NoError(t, dir.Close(background))
			_, err = s.neighboursUnharmed(t)
			require.NoError(t, err)

			require.NoError(t, os.RemoveAll(filler))
			dir, err = s.root.Create()
			require.NoError(t, err)
			require.NoError(t, dir.StageDeletion(makeLayer(t, s.victim)))
			require.NoError(t, dir.Close(background))
			s.end(t)
		})
	}
}

// Adopting an orphan takes an inode. One that is missing is reported, and what
// the same Recover frees is enough for the next.
func TestOrphanOnADiskWithoutInodes(t *testing.T) {
	if !mounting(t) {
		return
	}
	for _, disk := range fullDisks {
		if !disk.inodes {
			continue
		}
		t.Run(disk.name, func(t *testing.T) {
			s := newSceneAt(t, disk.make(t))
			orphan := idOf("0") // before the stale neighbour
			s.leaveOrphan(t, orphan)
			testfs.Fill(t, beside(s.root, "filler"), disk.inodes)

			report, err := s.unharmed(t)
			requireRefusal(t, err, "recover", s.lock(orphan), unix.ENOSPC)
			require.Equal(t, tempdir.Failed, outcomeOf(t, report, orphan).Outcome)
			requireLayer(t, filepath.Join(s.data(orphan), "0-layer"))

			report, err = s.root.Recover(background)
			require.NoError(t, err)
			require.Equal(t, tempdir.Result{ID: orphan, Outcome: tempdir.Recovered, Adopted: true, Names: 10}, outcomeOf(t, report, orphan))
			s.end(t)
		})
	}
}

// An entry may need a block for the data directory itself. A victim for which
// there is none stays, and those staged before it can be removed.
func TestDataDirectoryCannotGrowOnAFullDisk(t *testing.T) {
	if !mounting(t) {
		return
	}
	s := newSceneAt(t, testfs.Ext4(t, testfs.Ext4Options{MiB: 4}))
	dir, err := s.root.Create()
	require.NoError(t, err)
	victims := beside(s.root, strings.Repeat("v", 100))
	require.NoError(t, os.Mkdir(victims, 0o700))
	const many = 200 // names of 50 bytes, in a block of 1 KiB
	for n := range many {
		require.NoError(t, os.WriteFile(filepath.Join(victims, fmt.Sprintf("%050d", n)), []byte("kept"), 0o600))
	}
	testfs.Fill(t, beside(s.root, "filler"), false)
	staged := 0
	for ; err == nil; staged++ {
		require.Less(t, staged, many, "the data directory never ran out of room")
		err = dir.StageDeletion(filepath.Join(victims, fmt.Sprintf("%050d", staged)))
	}
	first := filepath.Join(victims, fmt.Sprintf("%050d", staged-1))
	requireRefusal(t, err, "stage deletion", first, unix.ENOSPC)
	content, err := os.ReadFile(first)
	require.NoError(t, err)
	require.Equal(t, "kept", string(content))
	require.NoError(t, dir.Close(background))
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}
