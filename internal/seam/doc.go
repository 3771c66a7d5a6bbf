// Package seam puts a hook around every call of a [tempdir.Kernel]: what the
// trace recorder, the scheduler of the conformance tests, fault injection and
// crash points have in common.
package seam
