//go:build linux

package tempdir_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
)

func init() {
	// partner ROOT VICTIM: recovers the root, and dies as the owner of the victim.
	proc.Register("partner", func(arguments []string) {
		root := must(tempdir.Open(arguments[0], tempdir.OrphanGrace(0)))
		report := must(root.Recover(background))
		if len(report.Results) != 2 || report.Count(tempdir.Skipped) != 1 || report.Count(tempdir.Recovered) != 1 {
			panic(report)
		}
		must(0, must(root.Create()).StageDeletion(arguments[1]))
	})
}

// Processes with /proc and without are owners and recoverers of one root.
func TestPartnerWithoutProc(t *testing.T) {
	s := newScene(t)
	partner := proc.New("partner", s.root.Path(), s.victim)
	testfs.Lack{Proc: true}.Command(t, partner.Cmd)
	output, err := partner.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NoFileExists(t, s.victim)
	s.liveUnharmed(t)
	report := must(s.root.Recover(background))
	require.Equal(t, 1, report.Count(tempdir.Recovered))
	s.end(t)
}

// needProc are the tests that look into /proc themselves, or start processes that do;
// and those that are about results which they bring about themselves.
const needProc = "^Test(Answers|ArgumentsBelow|SystemCallsAs|CloseIsNot|Closed|CreateWithout|DataThatIsNoD|DeepTreeInPlaceWhen|Detach|EmptyDirectoryOf|EveryOp|" +
	"EveryPair|FewDescr|FlagsOfDev|Fsyncs|ForeignTypes|Format|FullDisk|InodeNumber|KilledO|LifeWh|LockFileThatIsNone|LookupAns|ModeThatW|ModesAre|MountOver|" +
	"NoDescr|NothingB|NothingIs|OpenRef|OpenWithout|Orderly|Parked|RenamesThat|RootRem|RootThat|RootWithout|Signals|Somebody|StagingW|SyncOf|TwoNames|" +
	"Unreadable|UpstreamOwner|VictimThatIsAn|WhichFile|Partner|WithoutProc|ErrnoTable|HelpersDecide|NotFoundIs|KilledTwice|ManyE)"

// The other short tests once more, in a process that has no /proc.
func TestWithoutProc(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes as long as the short tests do")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.short", "-test.v", "-test.skip="+needProc)
	cmd.Env = append(os.Environ(), "TMPDIR="+testfs.InMemory(t))
	testfs.Lack{Proc: true}.Command(t, cmd)
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "--- PASS: TestProtocolCalls ")
}
