package crashsim_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim"
)

const needsTable = `
ABOUT     CLAIM             ORDERED  PERDIRECTORY                    WEAK                            WEAKEST WITHOUT FSYNC
deletion  live-kept         none     none                            none                            weak
deletion  holder-only       none     none                            none                            weak
deletion  calls-succeed     none     none                            none                            weak
deletion  foreign-kept      none     none                            none                            weak
deletion  nothing-left      none     none                            none                            weak
deletion  reachable-whole   none     data                            data                            ordered
deletion  whole-or-flagged  none     flag                            flag                            ordered
deletion  no-leak           none     record                          record                          ordered
deletion  data-has-lock     none     none                            false                           perDirectory
addition  live-kept         none     none                            none                            weak
addition  nothing-left      none     none                            none                            weak
addition  reachable-whole   none     record+content or data+content  record+content or data+content  ordered
addition  whole-or-flagged  none     record+content                  record+content                  ordered
addition  no-leak           none     flag+record                     flag+record                     ordered
addition  data-has-lock     none     none                            false                           perDirectory
`

func TestWhichClaimNeedsWhichFsync(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it tries every set of fsyncs")
	}
	needs, err := crashsim.Needs(t.Context())
	require.NoError(t, err)
	var table strings.Builder
	require.NoError(t, crashsim.WriteNeeds(&table, needs))
	assert.Equal(t, strings.TrimPrefix(needsTable, "\n"), table.String())
}
