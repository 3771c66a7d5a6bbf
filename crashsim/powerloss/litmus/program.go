//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// A step is one system call of a program, or a few that only its own process can see
// the middle of:
//
//	create P      makes an empty file
//	mkdir P       makes a directory
//	symlink P     makes a symbolic link
//	link P Q      gives the file P the name Q as well
//	write P TEXT  writes TEXT over the whole file P, and makes it if need be
//	rename P Q    renames, over Q if that is there
//	exchange P Q  exchanges two names
//	unlink P      removes a file, rmdir P an empty directory
//	fsync P       of a file or a directory
//	syncfs        makes everything durable
type step struct {
	verb, path, other string
}

// parse reads steps that have semicolons between them.
func parse(text string) (steps []step) {
	for part := range strings.SplitSeq(text, ";") {
		words := append(strings.Fields(part), "", "")
		if words[0] != "" {
			steps = append(steps, step{words[0], words[1], words[2]})
		}
	}
	return steps
}

// String is what parse reads.
func (s step) String() string {
	return strings.TrimSpace(strings.Join([]string{s.verb, s.path, s.other}, " "))
}

// fileSize is that of every file that is written to: a few blocks, none of which a file
// system keeps in the inode.
const fileSize = 8192

// run makes the step below dir.
func (s step) run(dir string) error {
	path, other := filepath.Join(dir, s.path), filepath.Join(dir, s.other)
	switch s.verb {
	case "create":
		return withFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, func(*os.File) error { return nil })
	case "mkdir":
		return os.Mkdir(path, 0o700)
	case "symlink":
		return os.Symlink("target", path)
	case "link":
		return os.Link(path, other)
	case "write":
		return withFile(path, os.O_WRONLY|os.O_CREATE, func(f *os.File) error {
			_, err := f.WriteString(content(s.other))
			return err
		})
	case "rename":
		return os.Rename(path, other)
	case "exchange":
		return unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
	case "unlink":
		return unix.Unlink(path)
	case "rmdir":
		return unix.Rmdir(path)
	case "fsync":
		return withFile(path, os.O_RDONLY, (*os.File).Sync)
	case "syncfs":
		return withFile(path, os.O_RDONLY, func(f *os.File) error { return unix.Syncfs(int(f.Fd())) })
	}
	return fmt.Errorf("no step %q", s.verb)
}

func withFile(path string, flags int, do func(*os.File) error) error {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

func content(text string) string { return strings.Repeat(text+"\n", fileSize/4)[:fileSize] }

// runAll runs the cases on the file system at dir, with marks: "case DIR" when what is
// given is durable, "step" after each step, and "end" after all is durable.
func runAll(cases []*litmus, dir string, mark func(string) error) error {
	for _, c := range cases {
		at := filepath.Join(dir, c.dir)
		if err := os.Mkdir(at, 0o700); err != nil {
			return err
		}
		for _, s := range append(parse(c.given), step{verb: "syncfs"}) {
			if err := s.run(at); err != nil {
				return fmt.Errorf("%s: %s: %w", c.name, s, err)
			}
		}
		if err := mark(markCase + c.dir); err != nil {
			return err
		}
		for _, s := range parse(c.do) {
			if err := s.run(at); err != nil {
				return fmt.Errorf("%s: %s: %w", c.name, s, err)
			}
			if err := mark(markStep); err != nil {
				return err
			}
		}
		if err := (step{verb: "syncfs"}).run(at); err != nil {
			return err
		}
		if err := mark(markEnd); err != nil {
			return err
		}
		if err := os.RemoveAll(at); err != nil {
			return err
		}
	}
	return nil
}

// Marks in the log.
const (
	markCase = "case "
	markStep = "step"
	markEnd  = "durable"
)

// look describes the tree below dir: names in order, directories with a slash, links
// with an @, files with what they say.
func look(dir string) (string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		switch entry.Type() {
		case fs.ModeDir:
			name += "/"
		case fs.ModeSymlink:
			name += "@"
		default:
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name += "=" + label(string(text))
		}
		names = append(names, name)
		return nil
	})
	sort.Strings(names)
	return strings.Join(names, " "), err
}

// label is what a file says in one word.
func label(text string) string {
	switch word, _, _ := strings.Cut(text, "\n"); {
	case text == "":
		return "empty"
	case strings.Trim(text, "\x00") == "":
		return "zeroes"
	case text == content(word):
		return word
	}
	return "torn"
}
