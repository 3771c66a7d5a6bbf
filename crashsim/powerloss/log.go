package powerloss

import (
	"encoding/binary"
	"fmt"
	"io"
)

// An Entry is one thing that a disk was asked to do, or a mark beside it.
type Entry struct {
	Offset, Size int64  // of a write or a discard, in bytes
	Data         []byte // of a write; nil: a discard, which leaves zeroes
	Flush        bool   // what was written before is durable before this entry is
	FUA          bool   // the write is durable by itself
	Mark         string // nothing was asked of the disk
}

// Format of a log: a super block, then the entries, each a header that fills a
// sector, and the data, rounded up to sectors. The data of a mark is in the sector
// of its header. It is the format of Linux's dm-log-writes and of QEMU's driver
// blklogwrites. All numbers are little endian.
const (
	logMagic   = 0x6a736677736872
	logVersion = 1
	sector     = 512

	flagFlush   = 1
	flagFUA     = 2
	flagDiscard = 4
	flagMark    = 8

	superSize  = 8 + 8 + 8 + 4
	headerSize = 4 * 8
)

// ReadLog reads a whole log.
func ReadLog(r io.ReaderAt) ([]Entry, error) {
	super := make([]byte, superSize)
	if _, err := r.ReadAt(super, 0); err != nil {
		return nil, fmt.Errorf("log of writes: super block: %w", err)
	}
	if magic, version := binary.LittleEndian.Uint64(super), binary.LittleEndian.Uint64(super[8:]); magic != logMagic || version != logVersion {
		return nil, fmt.Errorf("log of writes: magic %#x, version %d: no log, or of another version", magic, version)
	}
	count := binary.LittleEndian.Uint64(super[16:])
	unit := int64(binary.LittleEndian.Uint32(super[24:]))
	if unit < sector || unit&(unit-1) != 0 || unit > 1<<16 || count > 1<<24 {
		return nil, fmt.Errorf("log of writes: %d entries, sectors of %d bytes", count, unit)
	}
	var log []Entry
	header := make([]byte, unit)
	for at := unit; uint64(len(log)) < count; {
		if _, err := r.ReadAt(header, at); err != nil {
			return log, fmt.Errorf("log of writes: entry %d: %w", len(log), err)
		}
		at += unit
		number := func(i int) int64 { return int64(binary.LittleEndian.Uint64(header[8*i:])) }
		flags, length := number(2), number(3)
		e := Entry{Flush: flags&flagFlush != 0, FUA: flags&flagFUA != 0}
		switch {
		case flags&flagMark != 0:
			if length < 0 || length > unit-headerSize {
				return log, fmt.Errorf("log of writes: entry %d: a mark of %d bytes", len(log), length)
			}
			e.Mark = string(header[headerSize : headerSize+length])
		case number(1) != 0:
			if number(0) < 0 || number(1) < 0 || number(1) > 1<<31/unit && flags&flagDiscard == 0 {
				return log, fmt.Errorf("log of writes: entry %d: %d sectors at %d", len(log), number(1), number(0))
			}
			e.Offset, e.Size = number(0)*unit, number(1)*unit
			if flags&flagDiscard == 0 {
				e.Data = make([]byte, e.Size)
				if _, err := r.ReadAt(e.Data, at); err != nil {
					return log, fmt.Errorf("log of writes: data of entry %d: %w", len(log), err)
				}
				at += e.Size
			}
		}
		log = append(log, e)
	}
	return log, nil
}

// A LogWriter writes a log. It is for one goroutine.
type LogWriter struct {
	to    io.WriterAt
	at    int64
	count uint64
}

// NewLogWriter begins an empty log.
func NewLogWriter(to io.WriterAt) (*LogWriter, error) {
	w := &LogWriter{to: to, at: sector}
	return w, w.super()
}

// super writes the super block, so that what is in the log can be read.
func (w *LogWriter) super() error {
	b := make([]byte, 0, sector)
	for _, n := range []uint64{logMagic, logVersion, w.count} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = binary.LittleEndian.AppendUint32(b, sector)
	_, err := w.to.WriteAt(b[:sector], 0)
	return err
}

// Append appends an entry, whose offset and size are multiples of a sector. Marks are
// cut off after 480 bytes.
func (w *LogWriter) Append(e Entry) error {
	if e.Offset%sector != 0 || e.Size%sector != 0 {
		return fmt.Errorf("log of writes: %d bytes at %d are no sectors", e.Size, e.Offset)
	}
	flags, mark := uint64(0), e.Mark[:min(len(e.Mark), sector-headerSize)]
	for _, f := range []struct {
		is   bool
		flag uint64
	}{{e.Flush, flagFlush}, {e.FUA, flagFUA}, {e.Size > 0 && e.Data == nil, flagDiscard}, {mark != "", flagMark}} {
		if f.is {
			flags |= f.flag
		}
	}
	b := make([]byte, 0, sector+len(e.Data))
	for _, n := range []uint64{uint64(e.Offset / sector), uint64(e.Size / sector), flags, uint64(len(mark) + len(e.Data))} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = append(b, mark...)
	b = append(b[:sector], e.Data...)
	if _, err := w.to.WriteAt(b, w.at); err != nil {
		return err
	}
	w.at += int64(len(b))
	w.count++
	return w.super()
}
