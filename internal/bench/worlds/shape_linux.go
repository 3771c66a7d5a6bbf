package worlds

import (
	"maps"
	"slices"
	"syscall"

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
	"statx-ENOSYS":            {"statx": syscall.ENOSYS},
	"statx-EACCES":            {"statx": syscall.EACCES},
	"fchmodat2-ENOSYS":        {"fchmodat2": syscall.ENOSYS},
	"listmount-ENOSYS":        {"listmount": syscall.ENOSYS},
	"handles-EOPNOTSUPP":      {"name_to_handle_at": syscall.EOPNOTSUPP},
	"rename-EXDEV":            {"renameat2": syscall.EXDEV},
	"getflags-ENOTTY":         {"ioctl": syscall.ENOTTY},
	"everything-before-2020":  {"openat2": syscall.ENOSYS, "fchmodat2": syscall.ENOSYS, "listmount": syscall.ENOSYS, "statmount": syscall.ENOSYS},
	"everything-of-a-sandbox": {"openat2": syscall.EPERM, "statx": syscall.EPERM, "fchmodat2": syscall.EPERM, "listmount": syscall.EPERM, "statmount": syscall.EPERM, "name_to_handle_at": syscall.EPERM},
}

// What is answered where a quota is used up: to what makes a new name; and where the
// file system has become read-only.
var (
	whatTakesSpace = map[string]syscall.Errno{bench.CreateNew: syscall.EDQUOT, "mkdirat": syscall.EDQUOT, "linkat": syscall.EDQUOT}
	whatTurns      = map[string]syscall.Errno{
		bench.Create: syscall.EROFS, "mkdirat": syscall.EROFS, "linkat": syscall.EROFS, "unlinkat": syscall.EROFS,
		"renameat2": syscall.EROFS, "fchmod": syscall.EROFS, "fchmodat": syscall.EROFS, "fchmodat2": syscall.EROFS,
	}
)

func refusalNames() []string {
	return append([]string{"nothing"}, slices.Sorted(maps.Keys(refusals))...)
}

// shapeNames are the shapes of what is deleted, see plant.
func shapeNames() []string {
	return []string{
		"plain", "closed", "foreign", "immutable", "mounts", "livefuse", "deadfuse", "deep", "wide",
		"hardlinks", "names", "special", "whiteouts", "subvolumes", "acl", "file", "symlink",
	}
}
