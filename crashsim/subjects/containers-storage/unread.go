package main

import (
	"archive/tar"
	"errors"
	"io"
	"strconv"
	"syscall"
	"time"

	"go.podman.io/storage"
)

func init() { commands["unread"] = withStore(1, unread) }

// unread is "unread ID": it closes the archive of a layer as soon as an archive has
// ended for package tar, which is before its reader has. The answer is how many
// milliseconds of processor time the second after that has cost: about a thousand,
// if a goroutine of the store goes on for ever.
func unread(store storage.Store, words []string) (string, error) {
	reader, err := store.Diff("", words[0], nil)
	if err != nil {
		return "", err
	}
	archive := tar.NewReader(reader)
	for err == nil {
		_, err = archive.Next()
	}
	if err = errors.Join(ignoreEOF(err), reader.Close()); err != nil {
		return "", err
	}
	before := processorTime()
	time.Sleep(time.Second)
	return strconv.FormatInt((processorTime() - before).Milliseconds(), 10), nil
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
