package worlds

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	files "github.com/afterlock/afterlock/internal/bench/volume"
)

// volumes are file systems that many worlds share, made when they are first wanted.
// They are mounts of this process's own name space, and end with it.
type volumes struct {
	base    string // directory for mount points
	images  string // directory for images
	mounted bool   // this process may mount

	mu   sync.Mutex
	made map[string]*volume
}

// A volume is one of them. One that is to be full is used by one world at a time.
type volume struct {
	once sync.Once
	use  sync.Mutex
	dir  string
	err  error

	takers int // files that take inodes, and stay
}

func (v *volumes) of(fileSystem string, small bool) *volume {
	v.mu.Lock()
	key := fmt.Sprint(fileSystem, small)
	if v.made[key] == nil {
		v.made[key] = &volume{dir: filepath.Join(v.base, key)}
	}
	volume := v.made[key]
	v.mu.Unlock()
	volume.once.Do(func() { volume.err = v.mount(fileSystem, small, volume.dir) })
	return volume
}

// mount makes a file system at the new directory dir; overlay and readonly are
// mounted by each world on what is made here.
func (v *volumes) mount(fileSystem string, small bool, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	mib, arguments := 64, []string{}
	switch fileSystem {
	case "here":
		if small {
			return fmt.Errorf("%w: the file system of the directory is not filled", errRefused)
		}
		if !v.mounted {
			return nil
		}
		here := filepath.Join(v.images, "here") // into which every user may go
		if err := errors.Join(os.Mkdir(here, 0o755), os.Chmod(here, 0o755)); err != nil {
			return err
		}
		return refused("bind mount", unix.Mount(here, dir, "", unix.MS_BIND, ""))
	case "tmpfs", "overlay", "readonly":
		options := "mode=755,size=64m"
		if small {
			options = "mode=755,size=8m,nr_inodes=2000"
		}
		return refused("mount tmpfs", unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	case "fuse":
		under := dir + ".under"
		if err := v.mount("tmpfs", small, under); err != nil {
			return err
		}
		output, err := exec.Command("bindfs", under, dir).CombinedOutput()
		return refused("bindfs "+strings.TrimSpace(string(output)), err)
	case "ext4", "nojournal":
		arguments = []string{"mkfs.ext4", "-q", "-F", "-m", "0", "-N", "8000"}
		if small {
			mib, arguments[6] = 16, "1200"
		}
		if fileSystem == "nojournal" {
			arguments = append(arguments, "-O", "^has_journal")
		}
	case "xfs":
		mib, arguments = 320, []string{"mkfs.xfs", "-q"}
	case "btrfs":
		mib, arguments = 160, []string{"mkfs.btrfs", "-q"}
	}
	image := filepath.Join(v.images, filepath.Base(dir)+".img")
	err := files.Mount(image, dir, mib, arguments...)
	return errors.Join(refused(arguments[0], err), os.Chmod(dir, 0o755))
}
