package trace

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Create makes the file path, with room for a number of events of 64 bytes each,
// and maps it. Trees in the root have files files each, as in the model: at most
// 3. The disk space is taken now: a full disk would kill who records later.
func Create(path string, events, files int) (*Recording, error) {
	if events < 1 || uint64(events) > maxRecords || files < 1 || files > maxFiles {
		return nil, fmt.Errorf("record to %s: %d events and %d files in a tree are not possible", path, events, files)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size := headerBytes + int64(events)*recordBytes
	if err = unix.Fallocate(int(file.Fd()), 0, 0, size); errors.Is(err, unix.EOPNOTSUPP) {
		err = file.Truncate(size)
		for at := int64(0); at < size && err == nil; at += 512 { // in each block
			_, err = file.WriteAt([]byte{0}, at)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("record to %s: %d bytes: %w", path, size, err)
	}
	return mapRecording(path, file, files)
}

// Attach maps a recording that another process has made with [Create], to record.
func Attach(path string) (*Recording, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return mapRecording(path, file, 0)
}

func mapRecording(path string, file *os.File, files int) (*Recording, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() <= headerBytes || (info.Size()-headerBytes)%recordBytes != 0 {
		return nil, fmt.Errorf("%s: not a recording: %d bytes", path, info.Size())
	}
	mapping, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	records := unsafe.Slice((*words)(unsafe.Pointer(&mapping[headerBytes])), (len(mapping)-headerBytes)/recordBytes)
	return &Recording{path: path, files: files, mapping: mapping, next: (*uint64)(unsafe.Pointer(&mapping[0])), records: records}, nil
}

// Close gives the mapping up. Nobody may record after that.
func (r *Recording) Close() error {
	mapping := r.mapping
	r.mapping, r.records, r.next = nil, nil, nil
	return unix.Munmap(mapping)
}
