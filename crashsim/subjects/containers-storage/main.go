// The driver of a store of containers/storage: it uses the public interface, and
// is linked with a release, or with a changed copy of one.
//
//	driver [--graph DIR] [--run DIR] [--driver NAME] [COMMAND...]
//
// Without a command it reads one a line from standard input, and keeps the store
// open between them, as a server does. Commands, with "-" for no parent:
//
//	put ID PARENT FILES BYTES    put a layer of so many files of so many bytes
//	check ID FILES               read it back; an error if it is not whole
//	delete ID
//	list                         how many layers there are
//	use ID                       mount it, and unmount it
//	touch ID                     save its record
//	stress SECONDS               put, read back and delete layers: tried, failed, incomplete, not deleted
//	create ROOT SECONDS          instances, see instances.go
//	recover ROOT SECONDS
//	failed-pull-in-shutdown      see adopt.go
//
// Each is answered by a line: "ok", the nanoseconds that it took, and more words;
// or "error:" and the reason. The time of a command that is given as arguments
// has the opening of the store in it. Such a process exits at once, without a
// shutdown.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
	"go.podman.io/storage/types"
)

func main() {
	if reexec.Init() {
		return
	}
	var o types.StoreOptions
	flag.StringVar(&o.GraphRoot, "graph", "", "graph root")
	flag.StringVar(&o.RunRoot, "run", "", "run root")
	flag.StringVar(&o.GraphDriverName, "driver", "overlay", "graph driver")
	flag.Parse()
	if flag.NArg() > 0 {
		if !answer(&server{options: o}, flag.Args()) {
			os.Exit(1)
		}
		return
	}
	s := &server{options: o}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer(s, strings.Fields(lines.Text()))
	}
}

// A server has a store that is opened when it is first needed.
type server struct {
	options types.StoreOptions
	store   storage.Store
}

func (s *server) open() (storage.Store, error) {
	if s.store == nil {
		store, err := storage.GetStore(s.options)
		if err != nil {
			return nil, err
		}
		s.store = store
	}
	return s.store, nil
}

// A command does something and returns the words of its answer.
type command func(s *server, words []string) (string, error)

// commands is filled by the files of this package.
var commands = map[string]command{}

// answer does a command and prints how that went.
func answer(s *server, words []string) bool {
	start := time.Now()
	said, err := do(s, words)
	if err != nil {
		fmt.Println("error:", oneLine(err))
		return false
	}
	fmt.Println(strings.TrimSpace(fmt.Sprint("ok ", time.Since(start).Nanoseconds(), " ", said)))
	return true
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func do(s *server, words []string) (string, error) {
	if len(words) == 0 || commands[words[0]] == nil {
		return "", fmt.Errorf("no command: %q", words)
	}
	return commands[words[0]](s, words[1:])
}

// withStore is a command on an open store, with a number of arguments.
func withStore(arguments int, do func(store storage.Store, words []string) (string, error)) command {
	return func(s *server, words []string) (string, error) {
		if len(words) != arguments {
			return "", fmt.Errorf("%d arguments, and not %d", len(words), arguments)
		}
		store, err := s.open()
		if err != nil {
			return "", err
		}
		return do(store, words)
	}
}
