package subjects

import "strings"

// Policies are answers to: when does a store recover, and who waits for it? All but
// released use package compat; they differ in where they call recovery, and nothing
// else.
func init() {
	const (
		call  = "tempdir.RecoverStaleDirs"
		added = "afterlock_policy.go" // of package storage
	)
	drop := func(_, called string) string { return "_ = " + strings.TrimPrefix(called, call) }
	detach := func(_, called string) string { return "go " + called }
	inLoad := func(change func(statement, call string) string) edit {
		return replaceCalls("layers.go", "layerStore.load", call, change)
	}
	inInit := func(change func(statement, call string) string) edit {
		return replaceCalls("drivers/overlay/overlay.go", "Init", call, change)
	}
	// whenWriting calls recovery with the lock held, before whatever is done under it.
	whenWriting := replaceBody("layers.go", "layerStore.startWriting", `
		if err := r.startWritingWithReload(true); err != nil {
			return err
		}
		recoverWhenWriting(r)
		return nil`)
	// whenOpened calls recovery when all locks of the opening are free again.
	whenOpened := replaceCalls("store.go", "GetStore", "s.load", func(statement, _ string) string {
		return statement + "\n\trecoverWhenOpened(s)"
	})
	policy := func(edits ...edit) []edit { return append(append([]edit{}, edits...), useCompat...) }

	variants["compat-detached"] = policy(inLoad(detach))
	variants["compat-detached-init"] = policy(inLoad(detach), inInit(detach))
	variants["compat-timer"] = policy(inLoad(drop), inInit(drop))
	variants["compat-everylock"] = policy(inLoad(drop), inInit(drop), whenWriting, writeFile(added, everyLock))
	variants["compat-idle"] = policy(inLoad(drop), inInit(drop), whenWriting, writeFile(added, looks+idleLock))
	variants["compat-opened"] = policy(inLoad(drop), inInit(drop), whenOpened, writeFile(added, looks+opened+"const slice = time.Second\n"))
	variants["compat-opened-50ms"] = policy(inLoad(drop), inInit(drop), whenOpened, writeFile(added, looks+opened+"const slice = 50 * time.Millisecond\n"))
}

const everyLock = `package storage

import (
	"path/filepath"

	"` + ours + `/tempdir/compat"
)

func recoverWhenWriting(r *layerStore) {
	for _, root := range append(r.driver.GetTempDirRootDirs(), filepath.Join(r.layerdir, tempDirPath)) {
		_ = compat.RecoverStaleDirs(root)
	}
}
`

// looks keeps the roots open, so that a look at one is one system call.
const looks = `package storage

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"` + ours + `/tempdir"
)

type roots struct {
	mu   sync.Mutex
	open map[string]*tempdir.Root
	last time.Time
}

// recover looks at every root, and recovers those that may be dirty.
func (r *roots) recover(ctx context.Context, paths []string) {
	if r.open == nil {
		r.open = make(map[string]*tempdir.Root)
	}
	for _, path := range paths {
		root := r.open[path]
		if root == nil {
			var err error
			root, err = tempdir.Open(path, tempdir.MixedFleet(time.Minute, 24*time.Hour), tempdir.DetachMounts(), tempdir.AllowOthers())
			if err != nil {
				continue
			}
			r.open[path] = root
		}
		if dirty, err := root.MaybeDirty(); dirty || err != nil {
			_, _ = root.Recover(ctx)
		}
	}
}

const every = 10 * time.Second
`

const idleLock = `
var recovered roots

func recoverWhenWriting(r *layerStore) {
	recovered.mu.Lock()
	defer recovered.mu.Unlock()
	if time.Since(recovered.last) < every {
		return
	}
	recovered.recover(context.Background(), append(r.driver.GetTempDirRootDirs(), filepath.Join(r.layerdir, tempDirPath)))
	recovered.last = time.Now()
}
`

// opened is what package layerstore does, when it opens a store and in Maintain.
const opened = `
func recoverWhenOpened(s *store) {
	paths := append(s.graphDriver.GetTempDirRootDirs(), filepath.Join(s.graphRoot, s.graphDriverName+"-layers", tempDirPath))
	var r roots
	first, cancel := context.WithTimeout(context.Background(), slice)
	defer cancel()
	r.recover(first, paths)
	go func() {
		for range time.Tick(every) {
			next, cancel := context.WithTimeout(context.Background(), time.Second)
			r.recover(next, paths)
			cancel()
		}
	}()
}

`
