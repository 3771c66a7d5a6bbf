// Package driver is what the small programs of the black box have in common:
// they do one command, or one command after another, on a root or on a layer
// store, and say how it went. They know nothing of the supervisor that watches them.
//
// A command is a line of words:
//
//	recover ROOT
//	delete ROOT VICTIM...          stage the deletions and close
//	add ROOT DESTINATION...        stage an addition for each, commit and close
//	replace ROOT PATH...           stage the deletion of each, then commit an addition there; close
//
// Those of a layer store are at [Layers].
//
// The answer is a line: "ok", or "error: " and the reason. What a program adds
// is a tree with the files [Files].
package driver

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A Root is a root, of whatever implementation.
type Root interface {
	Create() (Dir, error)
	Recover() error
	Close() error
}

// A Dir is a live instance.
type Dir interface {
	StageDeletion(path string) error
	StageAddition() (Addition, error)
	Close() error
}

// An Addition is a path that is built and then put in place.
type Addition interface {
	Path() string
	Commit(destination string) error
}

// Files are the paths and contents of what a driver adds.
var Files = map[string]string{"a": "alpha", "sub/b": "beta"}

// Main does commands on roots; see [Serve].
func Main(open func(path string) (Root, error)) {
	Serve(func(words []string) error { return do(open, words) })
}

// Serve does the command of the arguments or, without any, those that it reads
// from standard input until its end.
func Serve(do func(words []string) error) {
	if len(os.Args) > 1 {
		if err := do(os.Args[1:]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("ok")
		return
	}
	if err := serve(do, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func serve(do func(words []string) error, in io.Reader, out io.Writer) error {
	// The first use starts a timer, for which the runtime opens descriptors of its
	// own. They must not be taken for those of the command that is looked at.
	rand.Read(make([]byte, 1))
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		answer := "ok"
		if err := do(strings.Fields(lines.Text())); err != nil {
			answer = "error: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		if _, err := io.WriteString(out, answer+"\n"); err != nil {
			return err
		}
	}
	return lines.Err()
}

// do does one command.
func do(open func(path string) (Root, error), words []string) (err error) {
	if len(words) < 2 {
		return fmt.Errorf("no command: %q", words)
	}
	root, err := open(words[1])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	switch paths := words[2:]; words[0] {
	case "recover":
		return root.Recover()
	case "delete":
		return with(root, func(dir Dir) error { return each(paths, dir.StageDeletion) })
	case "add":
		return with(root, func(dir Dir) error {
			return each(paths, func(path string) error { return add(dir, path) })
		})
	case "replace":
		return with(root, func(dir Dir) error {
			return each(paths, func(path string) error {
				if err := dir.StageDeletion(path); err != nil {
					return err
				}
				return add(dir, path)
			})
		})
	}
	return fmt.Errorf("no command %q", words[0])
}

// with makes an instance for the work and closes it, whatever the work said.
func with(root Root, work func(Dir) error) error {
	dir, err := root.Create()
	if err != nil {
		return err
	}
	err = work(dir)
	return errors.Join(err, dir.Close())
}

// each stops at the first failure.
func each(paths []string, do func(path string) error) error {
	for _, path := range paths {
		if err := do(path); err != nil {
			return err
		}
	}
	return nil
}

func add(dir Dir, destination string) error {
	addition, err := dir.StageAddition()
	if err != nil {
		return err
	}
	for _, name := range []string{"a", "sub/b"} { // in this order
		path := filepath.Join(addition.Path(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(Files[name]), 0o600); err != nil {
			return err
		}
	}
	return addition.Commit(destination)
}
