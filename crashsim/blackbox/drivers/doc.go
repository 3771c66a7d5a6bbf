// Package drivers has the small programs that the black box starts, crashes and
// schedules. They are roles of the afterlock command itself, see package proc, so
// an installed command needs nothing beside it:
//
//	tempdir                  package tempdir, as it is
//	layers                   package layerstore, as it is
//	upstream [HALF]          containers/storage's protocol as released, or with
//	                         half of the fix: creatorrechecks, recovererrechecks
//	watched HOW              package tempdir, with the calls of the seam in the
//	                         answer, for tests of what the supervisor sees
//
// What they read and answer is in package driver.
package drivers
