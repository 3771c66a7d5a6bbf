package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"go.podman.io/storage"
)

func init() {
	commands["put"] = withStore(4, put)
	commands["check"] = withStore(2, check)
	commands["delete"] = withStore(1, func(store storage.Store, words []string) (string, error) {
		return "", store.DeleteLayer(words[0])
	})
	commands["list"] = withStore(0, func(store storage.Store, _ []string) (string, error) {
		layers, err := store.Layers()
		return strconv.Itoa(len(layers)), err
	})
	commands["stress"] = withStore(1, stress)
}

func put(store storage.Store, words []string) (string, error) {
	files, err := strconv.Atoi(words[2])
	if err != nil {
		return "", err
	}
	size, err := strconv.Atoi(words[3])
	if err != nil {
		return "", err
	}
	parent := words[1]
	if parent == "-" {
		parent = ""
	}
	layer, _, err := store.PutLayer(words[0], parent, nil, "", false, nil, archive(files, size))
	if err != nil {
		return "", err
	}
	return layer.ID, nil
}

// archive is a layer of so many files, a hundred in a directory.
func archive(files, size int) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		w := tar.NewWriter(writer)
		text := bytes.Repeat([]byte("layer\n"), size/6+1)[:size]
		for i := range files {
			var err error
			if i%100 == 0 {
				err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strconv.Itoa(i / 100), Mode: 0o700})
			}
			err = errors.Join(err, w.WriteHeader(&tar.Header{Name: fmt.Sprintf("%d/%d", i/100, i), Mode: 0o600, Size: int64(size)}))
			_, writeErr := w.Write(text)
			if err = errors.Join(err, writeErr); err != nil {
				writer.CloseWithError(err)
				return
			}
		}
		writer.CloseWithError(w.Close())
	}()
	return reader
}

func check(store storage.Store, words []string) (string, error) {
	files, err := strconv.Atoi(words[1])
	if err != nil {
		return "", err
	}
	return "", whole(store, words[0], files)
}

// errIncomplete is of a layer that is there, and not all of it.
var errIncomplete = errors.New("incomplete")

// whole reads a layer back.
func whole(store storage.Store, id string, files int) error {
	reader, err := store.Diff("", id, nil)
	if err != nil {
		return err
	}
	defer reader.Close()
	archive, found := tar.NewReader(reader), 0
	for {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("layer %s: %w: after %d of %d files: %w", id, errIncomplete, found, files, err)
		}
		if header.Typeflag == tar.TypeReg {
			found++
		}
	}
	// To the very end: closed before, it leaves a goroutine of the store that spins.
	if _, err := io.Copy(io.Discard, reader); err != nil {
		return fmt.Errorf("layer %s: %w: %w", id, errIncomplete, err)
	}
	if found != files {
		return fmt.Errorf("layer %s: %w: %d of %d files", id, errIncomplete, found, files)
	}
	return nil
}

// stressFiles is how many files a layer of stress has.
const stressFiles = 8

func stress(store storage.Store, words []string) (string, error) {
	seconds, err := strconv.ParseFloat(words[0], 64)
	if err != nil {
		return "", err
	}
	tried, failed, incomplete, undeleted := 0, 0, 0, 0
	for end := time.Now().Add(time.Duration(seconds * float64(time.Second))); time.Now().Before(end); {
		tried++
		layer, _, err := store.PutLayer("", "", nil, "", false, nil, archive(stressFiles, 100))
		if err != nil {
			failed++
			fmt.Fprintln(os.Stderr, oneLine(err))
			continue
		}
		if err := whole(store, layer.ID, stressFiles); err != nil {
			incomplete++
			fmt.Fprintln(os.Stderr, oneLine(err))
		}
		if err := store.DeleteLayer(layer.ID); err != nil {
			undeleted++
			fmt.Fprintln(os.Stderr, oneLine(err))
		}
	}
	return fmt.Sprint(tried, failed, incomplete, undeleted), nil
}
