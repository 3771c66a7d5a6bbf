package testfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Text writes what is below dir as text, one line for each name: its permissions, its
// path and what it has. It is how formats on disk are kept.
//
//	0700 layers/
//	0600 layers/file "content\n"
//	0600 padded "content" 100 blanks
//	0777 layers/link -> file
func Text(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name := path[len(dir)+1:]
		if info.IsDir() {
			name += "/"
		}
		if strings.ContainsAny(name, " \"\\\n") {
			name = strconv.Quote(name)
		}
		fmt.Fprintf(&b, "%04o %s", info.Mode().Perm(), name)
		switch info.Mode().Type() {
		case fs.ModeDir:
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			b.WriteString(" -> " + target)
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text := strings.TrimRight(string(content), " ")
			fmt.Fprintf(&b, " %q", text)
			if blanks := len(content) - len(text); blanks > 0 {
				fmt.Fprintf(&b, " %d blanks", blanks)
			}
		default:
			return fmt.Errorf("%s is %v", path, info.Mode())
		}
		b.WriteString("\n")
		return nil
	})
	require.NoError(t, err)
	return b.String()
}

// Lay makes below dir what a text says that [Text] wrote.
func Lay(t testing.TB, dir, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		require.NoError(t, lay(dir, strings.TrimSuffix(line, "\n")))
	}
}

func lay(dir, line string) error {
	mode, rest, _ := strings.Cut(line, " ")
	perm, err := strconv.ParseUint(mode, 8, 12)
	if err != nil {
		return err
	}
	name, what, _ := strings.Cut(rest, " ")
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		what = strings.TrimPrefix(rest[len(quoted):], " ")
		if name, err = strconv.Unquote(quoted); err != nil {
			return err
		}
	}
	path := filepath.Join(dir, name)
	if strings.HasSuffix(name, "/") {
		return os.Mkdir(path, fs.FileMode(perm))
	}
	if target, isLink := strings.CutPrefix(what, "-> "); isLink {
		return os.Symlink(target, path)
	}
	quoted, err := strconv.QuotedPrefix(what)
	if err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	content, err := strconv.Unquote(quoted)
	if err != nil {
		return err
	}
	blanks := 0
	fmt.Sscanf(what[len(quoted):], "%d", &blanks)
	return os.WriteFile(path, []byte(content+strings.Repeat(" ", blanks)), fs.FileMode(perm))
}
