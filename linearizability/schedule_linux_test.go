package linearizability

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A player plays a schedule on a real store, step by step: a client is
// "process.goroutine" and has a handle of its own. The store is in memory: what is
// durable does not matter.
type player struct {
	t       *testing.T
	scene   *scene
	clients map[string]*recorder
	records []*bytes.Buffer
}

func newPlayer(t *testing.T, layout, note string) *player {
	s, err := newScene(filepath.Join(testfs.InMemory(t), "scene"), site{Layout: layout}, note)
	require.NoError(t, err)
	return &player{t: t, scene: s, clients: map[string]*recorder{}}
}

func (p *player) client(name string) *recorder {
	r := p.clients[name]
	if r == nil {
		client, err := parseClient(name)
		require.NoError(p.t, err)
		store, call, err := fault{}.open(p.scene.site, nil, layerstore.WithoutRecovery())
		require.NoError(p.t, err)
		p.t.Cleanup(func() { store.Close() })
		out := &bytes.Buffer{}
		p.records = append(p.records, out)
		r = &recorder{client: client, tickets: p.scene.tickets, out: out, do: call}
		p.clients[name] = r
	}
	return r
}

// do lets the client make one operation, such as "delete a b", and wants an
// outcome.
func (p *player) do(client, action string, want Outcome) *Operation {
	p.t.Helper()
	r, a := p.client(client), parseAction(p.t, action)
	p.scene.programs[r.client] = append(p.scene.programs[r.client], a)
	op, err := r.perform(p.t.Context(), a)
	require.NoError(p.t, err)
	require.Equal(p.t, want, op.Result.Outcome, "%v: %s", op, op.Note)
	return op
}

// parseAction reads an action as a program prints it, which is an invocation
// without a tree.
func parseAction(t *testing.T, text string) Action {
	words := strings.Fields(text)
	if words[0] == string(Create) {
		words = slices.Insert(words, 2, "tree")
	}
	op, err := parseInvocation(words)
	require.NoError(t, err)
	return op.action()
}

// die runs a process that makes the operation and is killed before the n-th call of
// that name.
func (p *player) die(process int, action, call string, n int64) {
	p.t.Helper()
	program := Program{{parseAction(p.t, action)}}
	killed, err := p.scene.fork(p.t.Context(), process, generation{program: program, crash: n, at: call}, "")
	require.NoError(p.t, err)
	require.True(p.t, killed, "%s makes no call %d of %s", action, n, call)
}

// judge lets the parent look at everything, and judges the history as a file has it.
func (p *player) judge() *Judgement {
	p.t.Helper()
	require.NoError(p.t, p.scene.observe(p.t.Context(), fault{}))
	for _, record := range p.records {
		p.scene.addRecord(record.Bytes())
	}
	h, err := p.scene.history()
	require.NoError(p.t, err)
	path := filepath.Join(p.t.TempDir(), "history")
	require.NoError(p.t, h.Save(path))
	h, err = Load(path)
	require.NoError(p.t, err)
	j, err := Judge(p.t.Context(), h, 0)
	require.NoError(p.t, err)
	return j
}
