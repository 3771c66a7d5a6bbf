// Package proc runs this program once more, as a process of its own in a role:
// one that takes locks of its own, that can be killed, and that ends with its
// parent at the latest.
//
// A package that needs such processes registers its roles in an init function.
// [Become], called first in main, or [Main], called by TestMain, makes the
// process what it was started as. The parent talks to it through a [Pipe].
package proc

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
)

// Variable names, in the environment of a process, the role that it has. Only a
// parent that does not use [New] needs it.
const Variable = "AFTERLOCK_ROLE"

var roles = make(map[string]func(arguments []string))

// Register says what a process does in the role. It panics if there is such a
// role. Call it in init functions only.
func Register(role string, serve func(arguments []string)) {
	if roles[role] != nil {
		panic("two roles " + role)
	}
	roles[role] = serve
}

// Become does not return in a process that was started in a role: it serves and
// exits, with 0 unless serve exits or panics. In every other process it does nothing.
func Become() {
	role, ok := os.LookupEnv(Variable)
	if !ok {
		return
	}
	os.Unsetenv(Variable) // what it starts is something else
	if roles[role] == nil {
		fmt.Fprintf(os.Stderr, "no role %q\n", role)
		os.Exit(2)
	}
	roles[role](os.Args[1:])
	os.Exit(0)
}

// Begin registers roles and is [Become] for them at once, in the init function that calls
// it: packages that a program has beside those of the role, and that come later, are not
// initialised. It is for roles that are started hundreds of times. What a test changes for
// them it changes where variables are initialised, which is before all init functions.
func Begin(some map[string]func(arguments []string)) {
	for role, serve := range some {
		Register(role, serve)
	}
	if some[os.Getenv(Variable)] != nil {
		Become()
	}
}

// Main is the TestMain of a package with roles, or with many files: it takes the
// *testing.M. Most tests are about no file system of their own: where TMPDIR does not
// say where, they are in memory, which takes half as long.
func Main(tests interface{ Run() int }) { serveOrTest(tests, os.Getenv("TMPDIR") == "") }

// MainInMemory is [Main] for tests that a disk would keep waiting and that are about none:
// they are in memory wherever TMPDIR is, if there is enough of it.
func MainInMemory(tests interface{ Run() int }) { serveOrTest(tests, true) }

func serveOrTest(tests interface{ Run() int }, inMemory bool) {
	Become()
	dir := ""
	if inMemory {
		if dir = memory(); dir != "" {
			os.Setenv("TMPDIR", dir)
		}
	}
	// The runtime opens descriptors of its own with the first pipe, and keeps them:
	// a test that counts descriptors would see them if it came first, or alone.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	if os.Getenv("GOGC") == "" { // with small heaps, a tenth of the time would go to collecting garbage
		debug.SetGCPercent(400)
	}
	code := tests.Run()
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		fmt.Printf("peak %d MB\n", peak()) // which scripts/fuzz reads
	}
	if dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Fail ends a process in a role with the error, if it is one.
func Fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
