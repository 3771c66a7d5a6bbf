package main

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
)

// Nothing that rm does before it deletes is worth a failure: whichever of it is
// refused, with whatever errno, the path goes, and nothing that was made stays.
func TestWhateverIsRefusedBeforeTheDeletionThePathGoes(t *testing.T) {
	dir := testfs.InMemory(t) // 500 runs
	errnos := []unix.Errno{
		unix.EPERM, unix.ENOENT, unix.EIO, unix.EAGAIN, unix.ENOMEM, unix.EACCES, unix.EBUSY, unix.EEXIST, unix.EXDEV, unix.ENODEV, unix.ENOTDIR, unix.EISDIR,
		unix.EINVAL, unix.EMFILE, unix.ETXTBSY, unix.EFBIG, unix.ENOSPC, unix.EROFS, unix.EMLINK, unix.ENAMETOOLONG, unix.ENOLCK, unix.ENOSYS, unix.ELOOP,
		unix.EOVERFLOW, unix.EOPNOTSUPP, unix.ESTALE, unix.EDQUOT, unix.ENOKEY, unix.EUCLEAN,
	}
	methods := []kernel.Method{
		kernel.OpenRoot, kernel.OpenUnnamed, kernel.CreateLock, kernel.TakeLock, kernel.WriteOwner, kernel.LinkLock, kernel.MakeData, kernel.StageDeletion, kernel.SyncData,
	}
	noLocks := []unix.Errno{unix.ENOLCK, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP}
	for _, method := range methods {
		for _, errno := range errnos {
			for _, more := range []map[kernel.Method]error{{}, {kernel.OpenUnnamed: unix.EOPNOTSUPP}} {
				if method == kernel.TakeLock && len(more) > 0 && !slices.Contains(noLocks, errno) {
					continue // the lock file, visible already, may be a recoverer's by now
				}
				more[method] = errno
				tree(t, dir+"/victim")
				refuse := kernel.HookFunc(func(c *kernel.Call) error { return more[c.Method] })
				r := remover{kernel: kernel.Around(kernel.Linux(), refuse)}
				r.removeAll(t.Context(), []string{dir + "/victim"})
				assert.NoError(t, r.results[0].err, "%v: %v", method, errno)
				assert.Empty(t, r.leftovers)
				if names := namesIn(t, dir); !assert.Empty(t, names, "%v: %s (%d refused)", method, unix.ErrnoName(errno), len(more)) {
					for _, name := range names {
						require.NoError(t, os.RemoveAll(dir+"/"+name))
					}
				}
			}
		}
	}
}
