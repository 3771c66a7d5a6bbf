package powerloss

import (
	"slices"
	"strings"

	"github.com/afterlock/afterlock/internal/bench/world"
)

// Jobs are programs of ours on the file system, for about so many states in all, of
// which some are less than they may be where a program writes little.
func Jobs(fileSystem string, states int) (jobs []Job) {
	const deep = 1000 // from here on every program, with every noise, and torn or not
	for _, p := range programs() {
		if p.control || p.other {
			continue
		}
		for i, noise := range slices.Concat(noises, noises) {
			j := Job{Program: p.name, FileSystem: fileSystem, Noise: noise, Torn: i >= len(noises)}
			weight := weights[j.text()]
			if states >= deep && weight == 0 {
				weight = 4
			}
			if weight > 0 {
				j.Budget = max(states*weight/100, 1)
				jobs = append(jobs, j)
			}
		}
	}
	return jobs
}

// weights are percentages of the states of a short run.
var weights = map[string]int{
	"delete-durable,noise=fsync":      10,
	"instances,noise=fsync":           12,
	"records,noise=fsync":             10,
	"vfs-delete,noise=fsync":          16,
	"vfs-create-durable":              8,
	"vfs-create,noise=fsync,torn":     8,
	"overlay-stores,noise=fsync,torn": 20,
	"overlay-recover,noise=fsync":     16,
}

// Shutdowns are jobs whose power losses are the kernel's own: a few, or deep. The programs
// are those whose trees differ in ids alone from run to run: the layout overlay draws other
// names, too, and recovery takes instances in the order of their ids.
func Shutdowns(fileSystem string, deep bool) (jobs []Job) {
	if fileSystem != "ext4" && fileSystem != "xfs" {
		return nil // which cannot
	}
	for _, program := range []string{"delete-durable", "vfs-create", "add", "add-durable", "instances", "records", "vfs-create-durable", "vfs-delete", "vfs-stores"} {
		for _, of := range []struct {
			noise, shutdown string
			short           bool
		}{{"", "nologflush", false}, {"fsync", "nologflush", program == "delete-durable"}, {"fsync", "logflush", program == "vfs-create"}, {"sync", "default", false}} {
			j := Job{Program: program, FileSystem: fileSystem, Noise: of.noise, Shutdown: of.shutdown}
			if !deep {
				j.Every = 5
			}
			if deep || of.short {
				jobs = append(jobs, j)
			}
		}
	}
	return jobs
}

// Controls are wrong programs, and programs of ours on a file system that does not
// keep its promises, or without an fsync: Job.Until has to be found to be false. Deep
// are those of every fsync that is needed. Where nobody syncs, replay does not leave what a
// shutdown with a sync does.
func Controls(fileSystem string, deep bool) (controls []Job) {
	for _, line := range strings.Split(strings.TrimSpace(controlTable), "\n") {
		words := strings.Fields(line)
		j := Job{Program: words[1], Budget: 60, Until: world.Claim(words[2])}
		wanted := true
		for _, word := range words[3:] {
			if !j.set(word) { // it is "deep"
				wanted = deep
			}
		}
		for _, j.FileSystem = range strings.Split(words[0], ",") {
			if kind, _, _ := strings.Cut(j.FileSystem, "-"); kind == fileSystem && wanted {
				controls = append(controls, j)
			}
		}
	}
	return controls
}

// File systems, program, claim, and how it runs.
const controlTable = `
ext4,xfs       in-place           reachable-whole  noise=fsync
btrfs          in-place           reachable-whole  noise=sync
ext4,xfs,btrfs records-first      no-leak
ext4-nobarrier delete-durable     replies-true
ext4,xfs,btrfs delete-durable     replies-true     without=Sync.SyncData
ext4,xfs,btrfs add-durable        replies-true     without=destination deep
ext4,xfs,btrfs add-durable        reachable-whole  without=content deep
ext4,xfs,btrfs vfs-create-durable reachable-whole  without=Create.SyncContent
ext4,xfs       vfs-create         whole-or-flagged without=save.SyncDirectory deep
btrfs          vfs-create         replies-true     without=save.SyncDirectory deep
ext4,xfs,btrfs vfs-create         replies-true     without=save.SyncSpare deep
btrfs          files-durable      replies-true     without=syncSource.SyncData
btrfs          vfs-delete         replies-true     without=Sync.SyncData deep
btrfs          vfs-create         whole-or-flagged without=commit.SyncDirectory
ext4,xfs       written-over       whole-or-flagged torn
ext4           in-place           reachable-whole  noise=fsync shutdown=nologflush
xfs            in-place           reachable-whole  noise=fsync shutdown=nologflush deep
ext4           delete-durable     replayed         shutdown=default
xfs            delete-durable     replayed         shutdown=default deep
ext4-journal,ext4-writeback in-place           reachable-whole  noise=fsync deep
ext4-journal,ext4-writeback records-first      no-leak          deep
ext4-journal,ext4-writeback delete-durable     replies-true     without=Sync.SyncData deep
ext4-journal,ext4-writeback add-durable        replies-true     without=destination deep
ext4-journal                vfs-create         replies-true     without=save.SyncDirectory deep
ext4-writeback              vfs-create         whole-or-flagged without=save.SyncDirectory deep
ext4-writeback              vfs-create         replies-true     without=save.SyncSpare deep
ext4-writeback              add-durable        reachable-whole  without=content deep
ext4-writeback              vfs-create-durable reachable-whole  without=Create.SyncContent deep
`
