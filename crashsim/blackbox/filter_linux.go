//go:build amd64 || arm64

package blackbox

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A condition narrows a call to those whose argument satisfies it.
type condition struct {
	argument int
	test     bpf.JumpTest
	value    uint32
}

// narrowed are the calls of which only some are stops. Several conditions of
// one call are alternatives. The rest of the filter comes from layouts.
var narrowed = map[uint32][]condition{
	// Opening a plain file to read it changes nothing that others see.
	unix.SYS_OPENAT: {{2, bpf.JumpBitsSet, unix.O_ACCMODE | unix.O_CREAT | unix.O_DIRECTORY}},
	unix.SYS_FCNTL: {
		{1, bpf.JumpEqual, unix.F_SETLK}, {1, bpf.JumpEqual, unix.F_SETLKW},
		{1, bpf.JumpEqual, unix.F_OFD_SETLK}, {1, bpf.JumpEqual, unix.F_OFD_SETLKW},
	},
	unix.SYS_IOCTL: {{1, bpf.JumpEqual, unix.FS_IOC_SETFLAGS}},
	unix.SYS_READ:  {{0, bpf.JumpEqual, 0}}, // a driver that waits for its next command
	unix.SYS_WRITE: {{0, bpf.JumpGreaterThan, 2}},
	unix.SYS_CLOSE: {{0, bpf.JumpGreaterThan, 2}},
}

// A view is which calls are stops.
type view int

const (
	allCalls view = iota // those of layouts
	changes              // of these, those that change files
)

// calls are the numbers of the calls of the view, and what narrows them.
func (v view) calls() (numbers []uint32, narrower map[uint32][]condition) {
	for number, l := range layouts {
		if v == allCalls || l.mutates != nil || l.kind != stopCall {
			numbers = append(numbers, number)
		}
	}
	if v == allCalls {
		return numbers, narrowed
	}
	narrower = maps.Clone(narrowed)
	for number, conditions := range narrowed {
		if name := layouts[number].name; name == "openat" || name == "open" {
			narrower[number] = []condition{{conditions[0].argument, bpf.JumpBitsSet, makes}}
		}
	}
	narrower[unix.SYS_CLOSE] = []condition{{0, bpf.JumpEqual, startedSignal}}
	return append(numbers, unix.SYS_CLOSE), narrower
}

// Offsets in struct seccomp_data, see seccomp(2).
const (
	dataNumber    = 0
	dataArch      = 4
	dataArguments = 16
)

// argumentOffset is where the low half of an argument is. What the filter looks
// at are ints.
func argumentOffset(i int) uint32 {
	offset := uint32(dataArguments + 8*i)
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		offset += 4 // big-endian
	}
	return offset
}

// foreignBit marks the calls of the x32 table of amd64. Here and on arm64 no call
// has such a number.
const foreignBit = 0x40000000

// filter is the program that stops a process at the calls of the view and lets
// all others pass. A call of another table (32 bits, x32) could be any of them,
// so it ends the process.
func filter(arch uint32, v view) ([]bpf.RawInstruction, error) {
	numbers, narrower := v.calls()
	var (
		allow  = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
		notify = bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF}
		kill   = bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}
	)
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: dataArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		kill,
		bpf.LoadAbsolute{Off: dataNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: foreignBit, SkipTrue: 1},
		kill,
	}
	for _, number := range slices.Sorted(slices.Values(numbers)) {
		block := []bpf.Instruction{notify}
		if conditions := narrower[number]; conditions != nil {
			block = []bpf.Instruction{bpf.LoadAbsolute{Off: argumentOffset(conditions[0].argument), Size: 4}}
			for _, c := range conditions {
				block = append(block, bpf.JumpIf{Cond: c.test, Val: c.value, SkipFalse: 1}, notify)
			}
			block = append(block, allow)
		}
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: number, SkipFalse: uint8(len(block))})
		program = append(program, block...)
	}
	return bpf.Assemble(append(program, allow))
}

// install puts the calling thread, and whatever it starts, under the filter,
// and returns the listener. The thread cannot get rid of it again.
func install(v view) (listener int, err error) {
	raw, err := filter(auditArch, v)
	if err != nil {
		return -1, err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	// Without privileges a filter may only be installed by a thread that can
	// gain none.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("no new privileges: %w", err)
	}
	head := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// WAIT_KILLABLE_RECV: the Go runtime's preemption signals must not cut off a
	// call that waits here.
	flags := unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&head)))
	if errno != 0 {
		return -1, fmt.Errorf("seccomp user notification: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	return int(fd), nil
}
