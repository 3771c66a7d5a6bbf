package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Of the package that instances are made by, which is internal. A file that is
// added where this is built sets them, and adds the commands.
var (
	newTempDir       func(root string) (instance, error)
	recoverStaleDirs func(root string) error
)

// An instance is a live one.
type instance interface {
	StageDeletion(path string) error
	stageAddition() (path string, commit func(destination string) error, err error)
	Cleanup() error
}

// create is "create ROOT SECONDS": instances, each with a staged deletion and a
// committed addition. The answer: instances, lost ones, incomplete commits.
func create(_ *server, words []string) (string, error) {
	end, err := until(words)
	if err != nil {
		return "", err
	}
	own := filepath.Join(filepath.Dir(words[0]), "layers-"+strconv.Itoa(os.Getpid()))
	instances, lost, incomplete, err := createUntil(end, words[0], own)
	return fmt.Sprint(instances, lost, incomplete), err
}

func createUntil(end time.Time, root, own string) (instances, lost, incomplete int, err error) {
	for ; time.Now().Before(end); instances++ {
		switch err := live(root, own); {
		case errors.Is(err, errIncomplete):
			incomplete++
			fmt.Fprintln(os.Stderr, oneLine(err))
		case err != nil:
			lost++
			fmt.Fprintln(os.Stderr, oneLine(err))
		}
		if err := os.RemoveAll(own); err != nil {
			return instances, lost, incomplete, err
		}
	}
	return instances, lost, incomplete, nil
}

// serve is "serve ROOT SECONDS": two goroutines create, as create does, and two
// recover. The answer: instances, lost ones, incomplete commits, recoveries.
func serve(_ *server, words []string) (string, error) {
	end, err := until(words)
	if err != nil {
		return "", err
	}
	var (
		sum  [4]atomic.Int64
		errs [4]error
		wait sync.WaitGroup
	)
	for i := range errs {
		wait.Go(func() {
			if i < 2 {
				own := filepath.Join(filepath.Dir(words[0]), fmt.Sprint("layers-", os.Getpid(), "-", i))
				var did [3]int
				did[0], did[1], did[2], errs[i] = createUntil(end, words[0], own)
				for n := range did {
					sum[n].Add(int64(did[n]))
				}
				return
			}
			for ; time.Now().Before(end); sum[3].Add(1) {
				if err := recoverStaleDirs(words[0]); err != nil {
					fmt.Fprintln(os.Stderr, oneLine(err))
				}
			}
		})
	}
	wait.Wait()
	return fmt.Sprint(sum[0].Load(), sum[1].Load(), sum[2].Load(), sum[3].Load()), errors.Join(errs[:]...)
}

// recoverFor is "recover ROOT SECONDS": recovery after recovery. The answer is
// how many, and how many of them failed.
func recoverFor(_ *server, words []string) (string, error) {
	end, err := until(words)
	if err != nil {
		return "", err
	}
	recoveries, failed := 0, 0
	for ; time.Now().Before(end); recoveries++ {
		if err := recoverStaleDirs(words[0]); err != nil {
			failed++
			fmt.Fprintln(os.Stderr, oneLine(err))
		}
	}
	return fmt.Sprint(recoveries, failed), nil
}

func until(words []string) (time.Time, error) {
	if len(words) != 2 {
		return time.Time{}, fmt.Errorf("want ROOT SECONDS, not %q", words)
	}
	seconds, err := strconv.ParseFloat(words[1], 64)
	return time.Now().Add(time.Duration(seconds * float64(time.Second))), err
}

// live is the life of one instance; an error is its loss.
func live(root, own string) error {
	victim, fresh := filepath.Join(own, "victim"), filepath.Join(own, "fresh")
	if err := fill(victim); err != nil {
		return err
	}
	dir, err := newTempDir(root)
	if err != nil {
		return err
	}
	if err := dir.StageDeletion(victim); err != nil {
		return errors.Join(err, dir.Cleanup())
	}
	path, commit, err := dir.stageAddition()
	if err != nil {
		return errors.Join(err, dir.Cleanup())
	}
	if err := fill(path); err != nil {
		return errors.Join(err, dir.Cleanup())
	}
	if err := commit(fresh); err != nil {
		return errors.Join(err, dir.Cleanup())
	}
	entries, err := os.ReadDir(fresh)
	if err == nil && len(entries) != stressFiles {
		err = fmt.Errorf("%w: %d of %d files committed", errIncomplete, len(entries), stressFiles)
	}
	return errors.Join(err, dir.Cleanup())
}

func fill(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range stressFiles {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), []byte("content"), 0o600); err != nil {
			return err
		}
	}
	return nil
}
