package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// Conditions are what a program is run under: as whom, without what. The test
// binary becomes the program after it has made them so.
type conditions struct {
	testfs.Lack
	NoMaking bool   // Landlock: nothing can be made or moved to another directory, only removed
	NoCaps   bool   // root without a single capability
	NoFiles  uint64 // limit of descriptors; 0: none
	NoBytes  bool   // no file may grow
	Closed   bool   // no standard input, output or error
	NoEnv    bool   // an empty environment
	Umask    int    // 0: as it is
	Chroot   bool   // a root directory that is no mount of this namespace's root
	NewPIDs  bool   // a PID namespace that /proc is not of
	Dir      string // working directory
	Map      int    // root of a user namespace that begins with this user; 0: none
}

const (
	underVariable = "AFTERLOCK_TEST_UNDER" // conditions, as JSON; the arguments are the program
	selfVariable  = "AFTERLOCK_TEST_SELF"  // path of the test binary: not every /proc knows
)

// becomeUnder makes the conditions so and becomes the program: a path, or "self"
// for the test binary.
func becomeUnder(encoded string) {
	var c conditions
	proc.Fail(json.Unmarshal([]byte(encoded), &c))
	runtime.LockOSThread() // and the others end when this one becomes the program
	os.Unsetenv(underVariable)
	path := os.Args[1]
	if path == "self" {
		path = "/proc/self/exe"
	}
	// Opened now, because the user may not be allowed to reach it.
	program, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if c.NewPIDs && os.Args[1] == "self" {
		program, err = unix.Open(os.Getenv(selfVariable), unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	proc.Fail(err)
	if c.Chroot {
		root, err := os.MkdirTemp("", "root")
		proc.Fail(err)
		proc.Fail(unix.Mount("/", root, "", unix.MS_BIND|unix.MS_REC, ""))
		proc.Fail(unix.Chroot(root))
		proc.Fail(unix.Chdir("/"))
	}
	if c.Umask != 0 {
		unix.Umask(c.Umask)
	}
	if c.Dir != "" {
		// Element after element: it may be longer than the kernel takes.
		for dir := c.Dir; dir != ""; {
			n := min(len(dir), 4000)
			if n < len(dir) {
				for dir[n] != '/' {
					n--
				}
			}
			proc.Fail(unix.Chdir(dir[:n]))
			for dir = dir[n:]; dir != "" && dir[0] == '/'; dir = dir[1:] {
			}
		}
	}
	if c.NoFiles != 0 {
		proc.Fail(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: c.NoFiles, Max: c.NoFiles}))
	}
	if c.NoBytes {
		proc.Fail(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{}))
	}
	if c.NoCaps {
		for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
			proc.Fail(unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0))
		}
		var none [2]unix.CapUserData
		proc.Fail(unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]))
	}
	proc.Fail(c.Apply())
	if c.NoMaking {
		proc.Fail(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		forbidMaking()
	}
	if c.Closed {
		for fd := range 3 {
			unix.Close(fd)
		}
	}
	environment := os.Environ()
	if c.NoEnv {
		environment = slices.DeleteFunc(environment, func(v string) bool { return !strings.HasPrefix(v, "AFTERLOCK_") })
	}
	execute(program, os.Args[1:], environment)
}

// forbidMaking restricts the thread by Landlock.
func forbidMaking() {
	const making = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	attributes := unix.LandlockRulesetAttr{Handled_access_fs: making}
	// Of the first version of the structure, that all kernels with Landlock know.
	rules, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attributes)), 8, 0)
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0)
	}
	if errno != 0 {
		proc.Fail(errno)
	}
}

// execute becomes the program that the descriptor refers to.
func execute(program int, arguments, environment []string) {
	argv, err := syscall.SlicePtrFromStrings(arguments)
	proc.Fail(err)
	envp, err := syscall.SlicePtrFromStrings(environment)
	proc.Fail(err)
	empty, err := unix.BytePtrFromString("")
	proc.Fail(err)
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(program), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	proc.Fail(errno)
}

// In deleteRole a process deletes layer x of a store, as an engine does that has
// just begun.
const deleteRole = "delete a layer"

func init() { proc.Register(deleteRole, deleteLayer) }

func deleteLayer(arguments []string) {
	var options []layerstore.Option
	if slices.Contains(arguments, "--clear-flags") {
		options = append(options, layerstore.ClearFlags())
	}
	store, err := layerstore.Open(arguments[0], options...)
	proc.Fail(err)
	_, err = store.Delete(context.Background(), "x")
	proc.Fail(err)
	layers, err := store.List(context.Background())
	proc.Fail(err)
	if len(layers) != 0 {
		proc.Fail(fmt.Errorf("still listed: %v", layers))
	}
}
