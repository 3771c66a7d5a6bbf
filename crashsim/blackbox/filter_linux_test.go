//go:build amd64 || arm64

package blackbox

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// data is struct seccomp_data as the virtual machine of package bpf reads it:
// every word in network order.
func data(arch, number uint32, arguments ...uint32) []byte {
	packet := make([]byte, 64)
	binary.BigEndian.PutUint32(packet[dataNumber:], number)
	binary.BigEndian.PutUint32(packet[dataArch:], arch)
	for i, a := range arguments {
		binary.BigEndian.PutUint32(packet[argumentOffset(i):], a)
	}
	return packet
}

// machine is a virtual machine with the filter of the view.
func machine(t *testing.T, v view) *bpf.VM {
	t.Helper()
	raw, err := filter(auditArch, v)
	require.NoError(t, err)
	program, ok := bpf.Disassemble(raw)
	require.True(t, ok)
	vm, err := bpf.NewVM(program)
	require.NoError(t, err)
	return vm
}

func TestTheFilterStopsTheCallsOfTheTable(t *testing.T) {
	vm, narrow := machine(t, allCalls), machine(t, changes)
	for _, tt := range []struct {
		name      string
		number    uint32
		arguments []uint32
		stops     bool
		changes   bool // and is a stop where changes alone matter
	}{
		{"rename", unix.SYS_RENAMEAT2, nil, true, true},
		{"unlink", unix.SYS_UNLINKAT, nil, true, true},
		{"open to create", unix.SYS_OPENAT, []uint32{0, 0, unix.O_CREAT | unix.O_RDWR}, true, true},
		{"open to lock", unix.SYS_OPENAT, []uint32{0, 0, unix.O_RDWR}, true, false},
		{"open of a directory", unix.SYS_OPENAT, []uint32{0, 0, unix.O_DIRECTORY}, true, false},
		{"open to read", unix.SYS_OPENAT, []uint32{0, 0, unix.O_RDONLY | unix.O_CLOEXEC}, false, false},
		{"open file description lock", unix.SYS_FCNTL, []uint32{5, unix.F_OFD_SETLK}, true, false},
		{"POSIX lock", unix.SYS_FCNTL, []uint32{5, unix.F_SETLK}, true, false},
		{"another fcntl", unix.SYS_FCNTL, []uint32{5, unix.F_GETFL}, false, false},
		{"command for a driver", unix.SYS_READ, []uint32{0}, true, true},
		{"another read", unix.SYS_READ, []uint32{3}, false, false},
		{"answer of a driver", unix.SYS_WRITE, []uint32{1}, false, false},
		{"write to a file", unix.SYS_WRITE, []uint32{3}, true, true},
		{"close", unix.SYS_CLOSE, []uint32{7}, true, false},
		{"end of a start", unix.SYS_CLOSE, []uint32{startedSignal}, true, true},
		{"unnamed file", unix.SYS_OPENAT, []uint32{0, 0, unix.O_TMPFILE | unix.O_RDWR}, true, true},
		{"listing", unix.SYS_GETDENTS64, nil, true, false},
		{"futex", unix.SYS_FUTEX, nil, false, false},
		{"exit of the process", unix.SYS_EXIT_GROUP, nil, true, true},
		{"exit of a thread", unix.SYS_EXIT, nil, false, false},
	} {
		verdict, err := vm.Run(data(auditArch, tt.number, tt.arguments...))
		require.NoError(t, err)
		assert.Equal(t, tt.stops, verdict == unix.SECCOMP_RET_USER_NOTIF, tt.name)
		if !tt.stops {
			assert.Equal(t, unix.SECCOMP_RET_ALLOW, verdict, tt.name)
		}
		verdict, err = narrow.Run(data(auditArch, tt.number, tt.arguments...))
		require.NoError(t, err)
		assert.Equal(t, tt.changes, verdict == unix.SECCOMP_RET_USER_NOTIF, "changes: %s", tt.name)
	}
	for name, call := range map[string][]byte{
		"another architecture's table": data(auditArch+1, unix.SYS_UNLINKAT),
		"the x32 table":                data(auditArch, unix.SYS_UNLINKAT|foreignBit),
	} {
		verdict, err := vm.Run(call)
		require.NoError(t, err)
		assert.Equal(t, uint32(unix.SECCOMP_RET_KILL_PROCESS), uint32(verdict), name)
	}
}

func TestEveryCallHasALayoutThatFits(t *testing.T) {
	for number, l := range layouts {
		assert.NotEmpty(t, l.name, number)
		assert.LessOrEqual(t, l.fd, 6, l.name)
		for _, p := range l.paths {
			assert.Less(t, p.path, 6, l.name)
		}
	}
	for number := range narrowed {
		assert.NotEmpty(t, layouts[number].name, "narrowed, and not in the table: %d", number)
	}
}
