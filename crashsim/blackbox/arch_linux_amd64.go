package blackbox

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_X86_64
	sysFstatat = unix.SYS_NEWFSTATAT
)

// older are calls that newer architectures do not have. Go programs do not make
// them; a program that bypasses the seam may.
func init() {
	for number, l := range map[uint32]layout{
		unix.SYS_OPEN:    {name: "open", paths: []pathArgument{{-1, 0}}, mutates: ifFlags(1, unix.O_ACCMODE|unix.O_CREAT|unix.O_TRUNC)},
		unix.SYS_CREAT:   {name: "creat", paths: []pathArgument{{-1, 0}}, mutates: always},
		unix.SYS_MKDIR:   {name: "mkdir", paths: []pathArgument{{-1, 0}}, mutates: always},
		unix.SYS_MKNOD:   {name: "mknod", paths: []pathArgument{{-1, 0}}, mutates: always},
		unix.SYS_RMDIR:   {name: "rmdir", paths: []pathArgument{{-1, 0}}, mutates: always},
		unix.SYS_UNLINK:  {name: "unlink", paths: []pathArgument{{-1, 0}}, mutates: always},
		unix.SYS_RENAME:  {name: "rename", paths: []pathArgument{{-1, 0}, {-1, 1}}, mutates: always},
		unix.SYS_LINK:    {name: "link", paths: []pathArgument{{-1, 0}, {-1, 1}}, mutates: always},
		unix.SYS_SYMLINK: {name: "symlink", paths: []pathArgument{{-1, 1}}, mutates: always},
		unix.SYS_CHMOD:   {name: "chmod", paths: []pathArgument{{-1, 0}}, mutates: always},
		unix.SYS_CHOWN:   {name: "chown", paths: []pathArgument{{-1, 0}}, mutates: always},
		unix.SYS_LCHOWN:  {name: "lchown", paths: []pathArgument{{-1, 0}}, mutates: always},
		unix.SYS_STAT:    {name: "stat", paths: []pathArgument{{-1, 0}}},
		unix.SYS_LSTAT:   {name: "lstat", paths: []pathArgument{{-1, 0}}},
		unix.SYS_UTIMES:  {name: "utimes", paths: []pathArgument{{-1, 0}}, mutates: always},
	} {
		layouts[number] = l
	}
	narrowed[unix.SYS_OPEN] = []condition{{1, narrowed[unix.SYS_OPENAT][0].test, narrowed[unix.SYS_OPENAT][0].value}}
}
