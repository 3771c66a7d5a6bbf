package model

import "encoding/binary"

// A Key is a state in 16 bytes: what the explorer stores. Keys of one model are
// equal exactly when the states are.
type Key [2]uint64

// less orders keys. The order means nothing; it picks one of a class.
func (k Key) less(l Key) bool { return k[0] < l[0] || k[0] == l[0] && k[1] < l[1] }

// hash spreads keys evenly over 64 bits.
func (k Key) hash() uint64 {
	h := (k[0] ^ k[1]>>32 ^ k[1]<<32) * 0x9e3779b97f4a7c15
	h = (h ^ h>>32 ^ k[1]) * 0xd6e8feb86659fd93
	return h ^ h>>29
}

// gather packs the low width bits of four bytes.
func gather(b []uint8, width uint) uint64 {
	x := uint64(binary.LittleEndian.Uint32(b))
	mask := uint64(1)<<width - 1
	return x&mask | x>>8&mask<<width | x>>16&mask<<(2*width) | x>>24&mask<<(3*width)
}

// scatter is the inverse of gather.
func scatter(x uint64, width uint, b []uint8) {
	mask := uint64(1)<<width - 1
	binary.LittleEndian.PutUint32(b, uint32(x&mask|x>>width&mask<<8|x>>(2*width)&mask<<16|x>>(3*width)&mask<<24))
}

// pack puts a state into a key. The widths are those of the sizes in kernel.go:
//
//	first   pc 4x5, fd 4x4, id 4x2, arg 4x4, crashes 2, failures 2
//	second  holder 8x3, lock 2x4, data 2, place 3x3, tree 3x2, used 2, parked 2x6
func pack(s *State) Key {
	return Key{
		gather(s.PC[1:5], 5) | gather(s.Fd[1:5], 4)<<20 | gather(s.ID[1:5], 2)<<36 | gather(s.Arg[1:5], 4)<<44 |
			uint64(s.Crashes)<<60 | uint64(s.Failures)<<62,
		gather(s.Holder[1:5], 3) | gather(s.Holder[5:9], 3)<<12 |
			uint64(s.Lock[1])<<24 | uint64(s.Lock[2])<<28 | uint64(s.Data>>1)<<32 |
			gather(s.Place[0:4], 3)>>3<<34 | gather(s.Tree[0:4], 2)>>2<<43 | uint64(s.Used>>1)<<49 |
			uint64(s.Parked[1])<<51 | uint64(s.Parked[2])<<57,
	}
}

// unpack is the inverse of pack.
func unpack(k Key, s *State) {
	scatter(k[0], 5, s.PC[1:5])
	scatter(k[0]>>20, 4, s.Fd[1:5])
	scatter(k[0]>>36, 2, s.ID[1:5])
	scatter(k[0]>>44, 4, s.Arg[1:5])
	s.Crashes = uint8(k[0] >> 60 & 3)
	s.Failures = uint8(k[0] >> 62)
	scatter(k[1], 3, s.Holder[1:5])
	scatter(k[1]>>12, 3, s.Holder[5:9])
	s.Lock[1], s.Lock[2] = uint8(k[1]>>24&15), uint8(k[1]>>28&15)
	s.Data = uint8(k[1]>>32&3) << 1
	scatter(k[1]>>34&(1<<9-1)<<3, 3, s.Place[0:4])
	scatter(k[1]>>43&(1<<6-1)<<2, 2, s.Tree[0:4])
	s.Used = uint8(k[1]>>49&3) << 1
	s.Parked[1], s.Parked[2] = uint8(k[1]>>51&63), uint8(k[1]>>57&63)
}
