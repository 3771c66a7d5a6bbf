package tempdir

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// thisProcess describes the running process. It does not change, so it is read
// once, when the first root is opened: that takes more system calls than all
// the rest of opening one. What /proc does not tell stays empty.
var thisProcess = sync.OnceValue(func() Owner {
	owner := Owner{PID: os.Getpid()}
	if len(os.Args) > 0 { // Linux before 5.18 starts programs without
		owner.Executable = filepath.Base(os.Args[0])
	}
	if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		owner.Boot = strings.TrimSpace(string(boot))
	}
	if stat, err := os.ReadFile("/proc/self/stat"); err == nil {
		// Field 22 is the start time; field 2, the program, may hold blanks and
		// ends with the last parenthesis. See proc_pid_stat(5).
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 19 {
			owner.Start, _ = strconv.ParseUint(fields[19], 10, 64)
		}
	}
	return owner
})
