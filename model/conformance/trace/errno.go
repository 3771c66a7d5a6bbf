package trace

import "strconv"

// An Errno is a Linux error number, whatever system reads the trace.
type Errno uint16

// The errors that mean something to the protocol, and those that people inject.
const (
	eperm     Errno = 1
	enoent    Errno = 2
	eio       Errno = 5
	eagain    Errno = 11
	enomem    Errno = 12
	eacces    Errno = 13
	ebusy     Errno = 16
	eexist    Errno = 17
	exdev     Errno = 18
	enotdir   Errno = 20
	eisdir    Errno = 21
	einval    Errno = 22
	emfile    Errno = 24
	enospc    Errno = 28
	erofs     Errno = 30
	enotempty Errno = 39
	eloop     Errno = 40
	enotsup   Errno = 95

	unknownErrno Errno = 1<<16 - 1 // an error that is no errno
)

var errnoNames = map[Errno]string{
	eperm: "EPERM", enoent: "ENOENT", eio: "EIO", eagain: "EAGAIN", enomem: "ENOMEM", eacces: "EACCES", ebusy: "EBUSY",
	eexist: "EEXIST", exdev: "EXDEV", enotdir: "ENOTDIR", eisdir: "EISDIR", einval: "EINVAL", emfile: "EMFILE",
	enospc: "ENOSPC", erofs: "EROFS", enotempty: "ENOTEMPTY", eloop: "ELOOP", enotsup: "EOPNOTSUPP", unknownErrno: "EUNKNOWN",
}

var errnoNumbers = func() map[string]Errno {
	numbers := make(map[string]Errno, len(errnoNames))
	for number, name := range errnoNames {
		numbers[name] = number
	}
	return numbers
}()

// String is the error's symbol, or E and its number.
func (e Errno) String() string {
	if name, ok := errnoNames[e]; ok {
		return name
	}
	return "E" + strconv.Itoa(int(e))
}

// parseErrno is the inverse of String.
func parseErrno(text string) (Errno, bool) {
	if e, ok := errnoNumbers[text]; ok {
		return e, true
	}
	if len(text) < 2 || text[0] != 'E' {
		return 0, false
	}
	n, err := strconv.ParseUint(text[1:], 10, 16)
	return Errno(n), err == nil && n > 0
}
