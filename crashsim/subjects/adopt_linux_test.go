package subjects

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdoptionWantsTheSameOutcomeByName(t *testing.T) {
	released := outcomes{"p A": "pass", "p B": "pass", "p C": "skip"}
	why := map[string]string{"p B": "because"}
	for name, c := range map[string]struct {
		compat outcomes
		want   Verdict
		reason string
	}{
		"same":             {outcomes{"p A": "pass", "p B": "pass", "p C": "skip"}, Pass, ""},
		"explained":        {outcomes{"p A": "pass", "p B": "fail", "p C": "skip"}, Pass, ""},
		"not explained":    {outcomes{"p A": "fail", "p B": "pass", "p C": "skip"}, Fail, "tests: p A: pass with the release, and fail here"},
		"explained, gone":  {outcomes{"p A": "pass", "p C": "skip"}, Fail, "tests: p B: pass with the release, and not run here"},
		"skipped":          {outcomes{"p A": "skip", "p B": "pass", "p C": "skip"}, Fail, "tests: p A: pass with the release, and skip here"},
		"runs":             {outcomes{"p A": "pass", "p B": "pass", "p C": "pass"}, Fail, "tests: p C: skip with the release, and pass here"},
		"another":          {outcomes{"p A": "pass", "p B": "pass", "p C": "skip", "p D": "pass"}, Fail, "tests: p D: not run with the release, and pass here"},
		"the same, number": {outcomes{"p A": "pass", "p D": "pass", "p C": "skip"}, Fail, "tests: p B: pass with the release, and not run here; tests: p D: not run with the release, and pass here"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &trial{Report: &Report{}}
			a.table = a.Table("", "what", "released", "compat", "remark")
			a.compare("tests", released, c.compat, why)
			require.Equal(t, c.want, a.Verdict())
			require.Equal(t, c.reason, a.Because())
		})
	}
	a := &trial{Report: &Report{}}
	a.table = a.Table("", "what", "released", "compat", "remark")
	a.compare("tests", outcomes{}, outcomes{}, nil)
	require.Equal(t, Undecided, a.Verdict(), "no test is no pass")
}

func TestAdoptionReadsOutcomes(t *testing.T) {
	const output = `{"Action":"start","Package":"example.org/store/p"}
{"Action":"run","Package":"example.org/store/p","Test":"A"}
{"Action":"output","Package":"example.org/store/p","Test":"A","Output":"--- PASS: B (0.00s)\n"}
{"Action":"pass","Package":"example.org/store/p","Test":"A"}
{"Action":"skip","Package":"example.org/store/p","Test":"S"}
{"Action":"fail","Package":"example.org/store/p","Test":"F/in_/copy/p"}
{"Action":"fail","Package":"example.org/store/p"}
{"Action":"run","Package":"example.org/store/ends","Test":"A"}
{"Action":"fail","Package":"example.org/store/ends"}
{"Action":"skip","Package":"example.org/store/none"}
`
	found, err := parseTests([]byte(output), "example.org/store/", "/copy")
	require.NoError(t, err)
	require.Equal(t, outcomes{"p A": "pass", "p S": "skip", "p F/in_/p": "fail", "ends": "fail"}, found)
	require.Equal(t, "1 pass, 2 fail, 1 skip", found.String())

	found, planned := parseTAP("1..4\nok 1 a\n# ok 7 not a test\nnot ok 2 b # in 3\nok 3 a\nok 4 c # skip no such thing\n")
	require.Equal(t, 4, planned)
	require.Equal(t, outcomes{"a": "pass", "b # in 3": "fail", "a (2)": "pass", "c": "skip"}, found)
}

func TestAdoptionSteps(t *testing.T) {
	w := &Workshop{log: t.Output()}
	_, err := w.Adopt(t.Context(), Run{Words: []string{"build", "other"}})
	require.ErrorContains(t, err, `no part "other": they are build, unit`)
}
