//go:build ignore

// The program of scripts/adopt, which builds it inside copies of the module:
// in one of them internal/tempdir is as released, in the other it is compat.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/afterlock/afterlock/tempdir/compat"
	"go.podman.io/storage"
	"go.podman.io/storage/internal/staging_lockfile"
	"go.podman.io/storage/internal/tempdir"
	"go.podman.io/storage/pkg/reexec"
	"go.podman.io/storage/types"
)

func main() {
	if reexec.Init() {
		return
	}
	switch os.Args[1] {
	case "process":
		process(os.Args[2])
	case "stress":
		stress(os.Args[2], os.Args[3])
	case "hold":
		hold(os.Args[2])
	case "writer":
		writer(os.Args[2], os.Args[3])
	}
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// process has owners of both kinds in one process, and recoveries of the other.
func process(base string) {
	root := filepath.Join(base, "root")
	theirs, err := tempdir.NewTempDir(root)
	check(err)
	ours, err := compat.NewTempDir(root)
	check(err)
	one, err := theirs.StageAddition()
	check(err)
	other, err := ours.StageAddition()
	check(err)
	check(os.WriteFile(one.Path, nil, 0o600))
	check(os.WriteFile(other.Path, nil, 0o600))
	staging := filepath.Join(base, "staging.lock")
	lock, err := staging_lockfile.TryLockPath(staging)
	check(err)
	for range 3 {
		check(compat.RecoverStaleDirs(root))
		check(tempdir.RecoverStaleDirs(root))
		if _, err := compat.TryLockPath(staging); err == nil {
			check(errors.New("two holders of a staging lock"))
		}
	}
	check(lock.UnlockAndDelete())
	check(one.Commit(filepath.Join(base, "one")))
	check(other.Commit(filepath.Join(base, "other")))
	check(theirs.Cleanup())
	check(ours.Cleanup())

	// Their owners as goroutines beside our recoverers.
	var owners, recoverers sync.WaitGroup
	var failed []error
	var mu sync.Mutex
	done := make(chan struct{})
	for owner := range 4 {
		owners.Go(func() {
			for i := range 500 {
				if err := own(root, filepath.Join(base, fmt.Sprint(owner, "-", i))); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for range 2 {
		recoverers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					check(compat.RecoverStaleDirs(root))
				}
			}
		})
	}
	owners.Wait()
	close(done)
	recoverers.Wait()
	fmt.Printf("%d of 2000 lost\n", len(failed))
	check(errors.Join(failed...))
}

// own is one life of an instance of theirs.
func own(root, destination string) error {
	td, err := tempdir.NewTempDir(root)
	if err != nil {
		return err
	}
	addition, err := td.StageAddition()
	if err != nil {
		return err
	}
	path := addition.Path
	for i := range 5 {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(path, strconv.Itoa(i)), nil, 0o600); err != nil {
			return err
		}
	}
	if err := addition.Commit(destination); err != nil {
		return err
	}
	if entries, err := os.ReadDir(destination); err != nil || len(entries) != 5 {
		return fmt.Errorf("%d of 5 files committed: %w", len(entries), err)
	}
	if err := td.StageDeletion(destination); err != nil {
		return err
	}
	return td.Cleanup()
}

// hold has a live instance of compat in every root of the store, and one staging
// directory, until a line is read; then it prints how many are as they were.
func hold(base string) {
	var checks []func() bool
	for _, root := range []string{"overlay/tempdirs", "overlay-layers/tmp", "vfs/tempdirs", "vfs-layers/tmp"} {
		td, err := compat.NewTempDir(filepath.Join(base, root))
		check(err)
		addition, err := td.StageAddition()
		check(err)
		check(os.MkdirAll(filepath.Join(addition.Path, "diff"), 0o700))
		check(os.WriteFile(filepath.Join(addition.Path, "diff", "file"), []byte("whole"), 0o600))
		checks = append(checks, func() bool {
			text, err := os.ReadFile(filepath.Join(addition.Path, "diff", "file"))
			return err == nil && string(text) == "whole" && td.Cleanup() == nil
		})
	}
	staging := filepath.Join(base, "overlay", "staging", "7")
	check(os.MkdirAll(filepath.Join(staging, "dir"), 0o700))
	lock, err := compat.TryLockPath(filepath.Join(staging, "staging.lock"))
	check(err)
	checks = append(checks, func() bool {
		_, err := os.Stat(filepath.Join(staging, "dir"))
		return err == nil && lock.UnlockAndDelete() == nil
	})
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	intact := 0
	for _, check := range checks {
		if check() {
			intact++
		}
	}
	fmt.Printf("%d of %d intact\n", intact, len(checks))
}

// stress has processes that put, read and delete layers in one overlay store,
// by the public interface, and prints how many puts failed.
func stress(base, seconds string) {
	var group sync.WaitGroup
	var mu sync.Mutex
	tried, failed := 0, 0
	for range 8 {
		group.Go(func() {
			cmd := exec.Command(os.Args[0], "writer", base, seconds)
			cmd.Stderr = os.Stderr
			output, err := cmd.Output()
			var puts, lost int
			if _, scanErr := fmt.Sscan(string(output), &puts, &lost); err != nil || scanErr != nil {
				fmt.Fprintln(os.Stderr, "writer:", err, string(output))
				lost++
			}
			mu.Lock()
			tried, failed = tried+puts, failed+lost
			mu.Unlock()
		})
	}
	group.Wait()
	fmt.Printf("%d of %d", failed, tried)
}

func writer(base, seconds string) {
	store, err := storage.GetStore(types.StoreOptions{
		GraphRoot: filepath.Join(base, "root"), RunRoot: filepath.Join(base, "run"), GraphDriverName: "overlay",
	})
	check(err)
	limit, err := strconv.Atoi(seconds)
	check(err)
	content := layer()
	end, tried, failed := time.Now().Add(time.Duration(limit)*time.Second), 0, 0
	for time.Now().Before(end) {
		tried++
		put, _, err := store.PutLayer("", "", nil, "", false, nil, bytes.NewReader(content))
		if err != nil {
			failed++
			fmt.Fprintln(os.Stderr, strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		if err := whole(store, put.ID); err != nil {
			failed++
			fmt.Fprintln(os.Stderr, err)
		}
		check(store.DeleteLayer(put.ID))
	}
	fmt.Println(tried, failed)
}

// files is how many files a layer has.
const files = 8

func layer() []byte {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for i := range files {
		text := []byte(strings.Repeat(strconv.Itoa(i), 100))
		check(w.WriteHeader(&tar.Header{Name: strconv.Itoa(i), Mode: 0o600, Size: int64(len(text))}))
		_, err := w.Write(text)
		check(err)
	}
	check(w.Close())
	return buffer.Bytes()
}

// whole reads a layer back.
func whole(store storage.Store, id string) error {
	reader, err := store.Diff("", id, nil)
	if err != nil {
		return err
	}
	defer reader.Close()
	archive, found := tar.NewReader(reader), 0
	for {
		header, err := archive.Next()
		if err != nil {
			break
		}
		if header.Typeflag == tar.TypeReg {
			found++
		}
	}
	if found != files {
		return fmt.Errorf("layer %s has %d of %d files", id, found, files)
	}
	return nil
}
