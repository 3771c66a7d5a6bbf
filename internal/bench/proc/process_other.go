//go:build !linux

package proc

import (
	"os"
	"os/exec"
)

// tie does nothing on this system: a process ends when its input does.
func tie(*exec.Cmd) {}

func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

func pipe() (read, write *os.File, err error) { return os.Pipe() }

func memory() string { return "" }

func peak() int64 { return 0 }
