package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
	instances, lost, incomplete := 0, 0, 0
	for ; time.Now().Before(end); instances++ {
		switch err := live(words[0], own); {
		case errors.Is(err, errIncomplete):
			incomplete++
			fmt.Fprintln(os.Stderr, oneLine(err))
		case err != nil:
			lost++
			fmt.Fprintln(os.Stderr, oneLine(err))
		}
		if err := os.RemoveAll(own); err != nil {
			return "", err
		}
	}
	return fmt.Sprint(instances, lost, incomplete), nil
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
