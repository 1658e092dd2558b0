package jpeg

import "encoding/binary"

// bitReader reads entropy coded bits, most significant first (F.2.2.5). A stuffed zero after 0xFF is dropped; at a
// marker, and at the end of the data, it goes on with zeros and counts them.
type bitReader struct {
	data     []byte
	position int    // of the first byte that is not in bits
	bits     uint64 // the low count bits are to be read
	count    int
	padding  int // how many of the bits, counted from the last, are made up
}

// fill makes at least 57 bits ready.
func (r *bitReader) fill() {
	if r.position+8 <= len(r.data) {
		word := binary.BigEndian.Uint64(r.data[r.position:])
		inverse := ^word
		// Nonzero where a byte of the inverse is 0, that is where one of the word is 0xFF.
		if (inverse-0x0101010101010101)&^inverse&0x8080808080808080 == 0 {
			n := (64 - r.count) >> 3
			r.bits = r.bits<<(8*n) | word>>(64-8*n)
			r.count += 8 * n
			r.position += n
			return
		}
	}
	for r.count <= 56 {
		r.bits <<= 8
		r.count += 8
		switch {
		case r.position >= len(r.data):
			r.padding += 8
		case r.data[r.position] != 0xFF:
			r.bits |= uint64(r.data[r.position])
			r.position++
		case r.position+1 < len(r.data) && r.data[r.position+1] == 0:
			r.bits |= 0xFF
			r.position += 2
		default:
			r.padding += 8
		}
	}
}

// exhausted says whether bits were read that are not in the data.
func (r *bitReader) exhausted() bool { return r.count < r.padding }

// restart drops what is left of the byte, for data that goes on after a marker.
func (r *bitReader) restart() { r.bits, r.count, r.padding = 0, 0, 0 }

// take reads n bits, at most 16.
func (r *bitReader) take(n int) int32 {
	if r.count < n {
		r.fill()
	}
	r.count -= n
	return int32(r.bits>>r.count) & (1<<n - 1)
}

// extended reads the n bits of a signed value (F.2.2.1, RECEIVE and EXTEND).
func (r *bitReader) extended(n int) int32 {
	v := r.take(n)
	if v < 1<<n>>1 {
		v += -1<<n + 1
	}
	return v
}
