package worlds

import (
	"maps"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	bench "github.com/afterlock/afterlock/internal/bench/proc"
)

// refusals are what kernels and sandboxes answer to calls, as a [bench.Lack] has it.
var refusals = map[string]map[string]syscall.Errno{
	"openat2-EPERM":           {"openat2": syscall.EPERM},
	"openat2-ENOSYS":          {"openat2": syscall.ENOSYS},
	"tmpfile-EOPNOTSUPP":      {bench.Unnamed: syscall.EOPNOTSUPP},
	"ofdlocks-ENOLCK":         {bench.TakeLock: syscall.ENOLCK},
	"linkat-EPERM":            {"linkat": syscall.EPERM},
	"linkat-EXDEV":            {"linkat": syscall.EXDEV},
	"noreplace-EINVAL":        {bench.NoReplace: syscall.EINVAL},
	"exchange-EINVAL":         {bench.Exchange: syscall.EINVAL},
	"renameflags-EPERM":       {bench.NoReplace: syscall.EPERM, bench.Exchange: syscall.EPERM},
	"statx-ENOSYS":            {"statx": syscall.ENOSYS},
	"statx-EACCES":            {"statx": syscall.EACCES},
	"fchmodat2-ENOSYS":        {"fchmodat2": syscall.ENOSYS},
	"listmount-ENOSYS":        {"listmount": syscall.ENOSYS},
	"handles-EOPNOTSUPP":      {"name_to_handle_at": syscall.EOPNOTSUPP},
	"rename-EXDEV":            {"renameat2": syscall.EXDEV},
	"rename-EIO":              {"renameat2": syscall.EIO},
	"ofdlocks-EPERM":          {bench.TakeLock: syscall.EPERM},
	"tmpfile-EISDIR":          {bench.Unnamed: syscall.EISDIR},
	"everything-of-a-network": {bench.Unnamed: syscall.EOPNOTSUPP, bench.TakeLock: syscall.ENOLCK, bench.NoReplace: syscall.EINVAL, bench.Exchange: syscall.EINVAL, "name_to_handle_at": syscall.EOPNOTSUPP},
	"getflags-ENOTTY":         {"ioctl": syscall.ENOTTY},
	"everything-before-2020":  {"openat2": syscall.ENOSYS, "fchmodat2": syscall.ENOSYS, "listmount": syscall.ENOSYS, "statmount": syscall.ENOSYS},
	"everything-of-a-sandbox": {"openat2": syscall.EPERM, "statx": syscall.EPERM, "fchmodat2": syscall.EPERM, "listmount": syscall.EPERM, "statmount": syscall.EPERM, "name_to_handle_at": syscall.EPERM},
}

// What is answered where a quota is used up: to what makes a new name; and where the
// file system has become read-only.
var (
	whatTakesSpace = map[string]syscall.Errno{bench.CreateNew: syscall.EDQUOT, "mkdirat": syscall.EDQUOT, "linkat": syscall.EDQUOT, "renameat2": syscall.EDQUOT}
	whatTurns      = map[string]syscall.Errno{
		bench.Create: syscall.EROFS, "mkdirat": syscall.EROFS, "linkat": syscall.EROFS, "unlinkat": syscall.EROFS,
		"renameat2": syscall.EROFS, "fchmod": syscall.EROFS, "fchmodat": syscall.EROFS, "fchmodat2": syscall.EROFS,
	}
)

// hidden are attributes that statx does not tell, by the name of the value: kernels
// before 5.8 do not know one, and file systems some of the others.
var hidden = map[string]uint64{
	"mountroot-hidden": unix.STATX_ATTR_MOUNT_ROOT,
	"flags-hidden":     unix.STATX_ATTR_IMMUTABLE,
}

func refusalNames() []string {
	return slices.Concat([]string{"nothing"}, slices.Sorted(maps.Keys(refusals)), slices.Sorted(maps.Keys(hidden)))
}

// shapeNames are the shapes of what is deleted, see plant.
func shapeNames() []string {
	return []string{
		"plain", "closed", "foreign", "immutable", "frozen", "pinned", "locked", "mounts", "mounted", "livefuse", "deadfuse", "deadvictim",
		"deep", "wide", "hardlinks", "names", "special", "whiteouts", "subvolumes", "sealed", "acl", "file", "symlink",
	}
}
