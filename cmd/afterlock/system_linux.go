package main

import "golang.org/x/sys/unix"

// runningKernel is the running one, as uname(1) has it, or "".
func runningKernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
}
