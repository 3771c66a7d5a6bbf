package subjects

import "strings"

// Policies are answers to: when does a store recover, and who waits for it? All but
// released use package compat; they differ in where they call recovery, and nothing
// else.
func init() {
	const (
		call   = "tempdir.RecoverStaleDirs"
		added  = "afterlock_policy.go" // of package storage
		lookAt = "internal/looks"
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
	// whenOpened opens the driver's root where it is recovered in the release, before
	// the driver mounts its home upon itself: the descriptor leads to the mounts below
	// it for ever. It recovers when all locks of the opening are free again.
	whenOpened := []edit{
		inLoad(drop),
		replaceCalls("drivers/overlay/overlay.go", "Init", call, func(_, called string) string {
			return strings.Replace(called, call, "looks.Know", 1)
		}),
		addImport("drivers/overlay/overlay.go", lookAt),
		replaceCalls("store.go", "GetStore", "s.load", followedBy("\n\trecoverWhenOpened(s)")),
		writeFile(lookAt+"/looks.go", looks),
		writeFile(added, opened),
	}
	policy := func(edits ...edit) []edit { return append(append([]edit{}, edits...), useCompat...) }

	variants["compat-detached"] = policy(inLoad(detach))
	variants["compat-timer"] = policy(inLoad(drop), inInit(drop))
	variants["compat-everylock"] = policy(inLoad(drop), inInit(drop), whenWriting, writeFile(added, everyLock))
	variants["compat-idle"] = policy(inLoad(drop), inInit(drop), whenWriting, writeFile(lookAt+"/looks.go", looks), writeFile(added, idleLock))
	variants["compat-opened-50ms"] = policy(whenOpened...)
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
const looks = `package looks

import (
	"context"
	"sync"
	"time"

	"` + ours + `/tempdir"
)

const Every = 10 * time.Second

var (
	mu    sync.Mutex
	roots = map[string]*tempdir.Root{} // nil: it did not exist
	last  time.Time
)

// Know opens a root.
func Know(path string) {
	mu.Lock()
	defer mu.Unlock()
	if roots[path] == nil {
		roots[path], _ = tempdir.Open(path, tempdir.MixedFleet(time.Minute, 24*time.Hour), tempdir.DetachMounts(), tempdir.AllowOthers())
	}
}

// Recover recovers the roots that may be dirty.
func Recover(ctx context.Context, paths ...string) {
	for _, path := range paths {
		Know(path)
		mu.Lock()
		root := roots[path]
		mu.Unlock()
		if root == nil {
			continue
		}
		if dirty, err := root.MaybeDirty(); dirty || err != nil {
			_, _ = root.Recover(ctx)
		}
	}
}

// Due: it was not for a while.
func Due() bool {
	mu.Lock()
	defer mu.Unlock()
	if time.Since(last) < Every {
		return false
	}
	last = time.Now()
	return true
}
`

const idleLock = `package storage

import (
	"context"
	"path/filepath"

	"MODULE/internal/looks"
)

func recoverWhenWriting(r *layerStore) {
	if looks.Due() {
		looks.Recover(context.Background(), append(r.driver.GetTempDirRootDirs(), filepath.Join(r.layerdir, tempDirPath))...)
	}
}
`

// opened is what package layerstore does, when it opens a store and in Maintain.
const opened = `package storage

import (
	"context"
	"path/filepath"
	"time"

	"MODULE/internal/looks"
)

func recoverWhenOpened(s *store) {
	paths := append(s.graphDriver.GetTempDirRootDirs(), filepath.Join(s.graphRoot, s.graphDriverName+"-layers", tempDirPath))
	look := func(slice time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), slice)
		defer cancel()
		looks.Recover(ctx, paths...)
	}
	look(50 * time.Millisecond)
	go func() {
		for range time.Tick(looks.Every) {
			look(time.Second)
		}
	}()
}
`
