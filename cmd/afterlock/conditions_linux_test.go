package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// Conditions are what a program is run under: as whom, without what. The test
// binary becomes the program after it has made them so.
type conditions struct {
	User     int      // 0: root stays root
	Refused  []denial // calls that the kernel does not have, or a sandbox refuses
	NoProc   bool     // nothing is mounted on /proc
	NoMaking bool     // Landlock: nothing can be made or moved to another directory, only removed
	NoCaps   bool     // root without a single capability
	NoFiles  uint64   // limit of descriptors; 0: none
	NoBytes  bool     // no file may grow
	Closed   bool     // no standard input, output or error
	NoEnv    bool     // an empty environment
	Dir      string   // working directory
	Map      int      // root of a user namespace that begins with this user; 0: none
}

// A denial is one call that is answered with an errno, if one of its arguments
// has a value under a mask.
type denial struct {
	Call        int
	Errno       syscall.Errno
	Argument    int
	Mask, Value uint32 // no mask: always
}

const (
	underVariable  = "AFTERLOCK_TEST_UNDER"  // conditions, as JSON; the arguments are the program
	deleteVariable = "AFTERLOCK_TEST_DELETE" // deletes layer x of the store
)

// becomeUnder makes the conditions so and becomes the program: a path, or "self"
// for the test binary.
func becomeUnder(encoded string) {
	var c conditions
	exitOn(json.Unmarshal([]byte(encoded), &c))
	runtime.LockOSThread() // and the others end when this one becomes the program
	os.Unsetenv(underVariable)
	path := os.Args[1]
	if path == "self" {
		path = "/proc/self/exe"
	}
	// Opened now, because the user may not be allowed to reach it.
	program, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	exitOn(err)
	if c.NoProc {
		exitOn(unix.Unshare(unix.CLONE_NEWNS))
		exitOn(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		exitOn(unix.Mount("none", "/proc", "tmpfs", 0, ""))
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
			exitOn(unix.Chdir(dir[:n]))
			for dir = dir[n:]; dir != "" && dir[0] == '/'; dir = dir[1:] {
			}
		}
	}
	if c.NoFiles != 0 {
		exitOn(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: c.NoFiles, Max: c.NoFiles}))
	}
	if c.NoBytes {
		exitOn(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{}))
	}
	if c.NoCaps {
		for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
			exitOn(unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0))
		}
		var none [2]unix.CapUserData
		exitOn(unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]))
	}
	if c.User != 0 {
		for _, call := range []uintptr{unix.SYS_SETGROUPS, unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			arguments := [3]uintptr{uintptr(c.User), uintptr(c.User), uintptr(c.User)}
			if call == unix.SYS_SETGROUPS {
				arguments = [3]uintptr{}
			}
			if _, _, errno := unix.RawSyscall(call, arguments[0], arguments[1], arguments[2]); errno != 0 {
				exitOn(errno)
			}
		}
	}
	exitOn(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	if c.NoMaking {
		forbidMaking()
	}
	if c.Closed {
		for fd := range 3 {
			unix.Close(fd)
		}
	}
	environment := os.Environ()
	if c.NoEnv {
		environment = slices.DeleteFunc(environment, func(v string) bool { return len(v) < 14 || v[:14] != "AFTERLOCK_TEST" })
	}
	deny(c.Refused)
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
		exitOn(errno)
	}
}

// deny installs a seccomp filter in the thread.
func deny(denials []denial) {
	if len(denials) == 0 {
		return
	}
	const load, equal, and, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	var filter []unix.SockFilter
	for _, d := range denials {
		refuse := unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(d.Errno)}
		filter = append(filter, unix.SockFilter{Code: load, K: 0}) // the number of the call
		if d.Mask == 0 {
			filter = append(filter, unix.SockFilter{Code: equal, K: uint32(d.Call), Jf: 1}, refuse)
			continue
		}
		filter = append(filter,
			unix.SockFilter{Code: equal, K: uint32(d.Call), Jf: 4},
			unix.SockFilter{Code: load, K: uint32(16 + 8*d.Argument)}, // little-endian, as all the machines of these tests
			unix.SockFilter{Code: and, K: d.Mask},
			unix.SockFilter{Code: equal, K: d.Value, Jf: 1},
			refuse)
	}
	filter = append(filter, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		exitOn(errno)
	}
}

// execute becomes the program that the descriptor refers to.
func execute(program int, arguments, environment []string) {
	argv, err := syscall.SlicePtrFromStrings(arguments)
	exitOn(err)
	envp, err := syscall.SlicePtrFromStrings(environment)
	exitOn(err)
	empty, err := unix.BytePtrFromString("")
	exitOn(err)
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(program), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	exitOn(errno)
}

// deleteLayer deletes layer x of a store, as an engine does that has just begun.
func deleteLayer(path string) {
	var options []layerstore.Option
	store, err := layerstore.Open(path, options...)
	exitOn(err)
	_, err = store.Delete(context.Background(), "x")
	exitOn(err)
	layers, err := store.List(context.Background())
	exitOn(err)
	if len(layers) != 0 {
		exitOn(fmt.Errorf("still listed: %v", layers))
	}
	os.Exit(0)
}
