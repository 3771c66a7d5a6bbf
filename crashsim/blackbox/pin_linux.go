//go:build amd64 || arm64

package blackbox

import "golang.org/x/sys/unix"

// pin binds the calling thread, and what it starts from now on, to the i-th of
// the processors that it may run on, counted round. A supervisor and its
// processes take turns: on one processor a turn is a switch, on two it is a signal
// from one to the other as well. It is for speed alone, so nobody hears of it if
// it is not allowed.
func pin(i int) {
	var allowed unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) != nil || allowed.Count() == 0 {
		return
	}
	i %= allowed.Count()
	for processor := 0; ; processor++ {
		if !allowed.IsSet(processor) {
			continue
		}
		if i == 0 {
			var one unix.CPUSet
			one.Set(processor)
			_ = unix.SchedSetaffinity(0, &one)
			return
		}
		i--
	}
}
