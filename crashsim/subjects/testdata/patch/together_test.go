package tempdir

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"MODULE/internal/staging_lockfile"
)

// The counterexample of the model UpstreamClosesCreated: a process creates an
// instance (c1) and recovers (r1), and another process recovers (r2). Hooks say where
// they are. A step that the locks of the process do not allow is left out.
func TestTogether(t *testing.T) {
	if root := os.Getenv("AFTERLOCK_ROOT"); root != "" {
		r2(root)
	}
	var (
		root    = t.TempDir()
		goOn    = make(chan struct{})
		ended   = make(chan error)
		claimed = make(chan struct{})
		r1      bool
		other   *process
		created bool
	)
	staging_lockfile.Hook = func(where string) {
		switch {
		case where == "claimed":
			close(claimed)
			<-goOn
		case where == "created" && !created && staging_lockfile.Free():
			r1 = true
			go func() { ended <- RecoverStaleDirs(root) }()
			<-claimed
		case where == "closed" && !created:
			created = true
			other = start(t, root)
			fmt.Println("r2 claims:", other.says("claimed"))
			if r1 {
				close(goOn)
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	dir, err := NewTempDir(root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir.tempDirPath, "live")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other.goOn()
	_, err = os.Stat(path)
	fmt.Println("r1 recovers between create and close:", r1)
	fmt.Println("live data lost:", os.IsNotExist(err))
}

// r2 recovers, waits for its parent before it removes something, and ends.
func r2(root string) {
	input := bufio.NewReader(os.Stdin)
	staging_lockfile.Hook = func(where string) {
		if where == "claimed" {
			fmt.Println("claimed")
			_, _ = input.ReadString('\n')
		}
	}
	if err := RecoverStaleDirs(root); err != nil {
		panic(err)
	}
	os.Exit(0)
}

type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, root string) *process {
	p := &process{Cmd: exec.Command(os.Args[0], "-test.run=TestTogether")}
	p.Env = append(os.Environ(), "AFTERLOCK_ROOT="+root)
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// says reports whether the process says so before it ends.
func (p *process) says(word string) bool {
	line, err := p.out.ReadString('\n')
	return err == nil && line == word+"\n"
}

func (p *process) goOn() {
	_ = p.in.Close()
	_, _ = io.Copy(io.Discard, p.out)
	if err := p.Wait(); err != nil {
		panic(err)
	}
}
