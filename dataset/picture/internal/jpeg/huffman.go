package jpeg

const lookupBits = 9

// huffman is a table of codes of 1 to 16 bits (C.2, F.2.2.3).
type huffman struct {
	defined bool
	// lookup holds, for each beginning of lookupBits bits, the code's length above the symbol's 8 bits; 0 for longer codes.
	lookup [1 << lookupBits]uint16
	// limit is one more than the largest code of each length, shifted to 16 bits; offset leads from a code to its symbol.
	limit   [17]int32
	offset  [17]int32
	symbols [256]uint8
}

// readHuffman reads the tables of a DHT segment (B.2.4.2).
func (d *decoder) readHuffman(segment []byte) error {
	for len(segment) > 0 {
		if len(segment) < 17 {
			return invalid("a Huffman table of %d bytes", len(segment))
		}
		class, slot := segment[0]>>4, segment[0]&15
		if class > 1 || slot > 3 {
			return invalid("Huffman table %#02x, of 0 to 3 in class 0 or 1", segment[0])
		}
		total := 0
		for _, n := range segment[1:17] {
			total += int(n)
		}
		if total > 256 || total > len(segment)-17 {
			return invalid("a Huffman table of %d codes in %d bytes", total, len(segment)-17)
		}
		if err := d.tables[class][slot].build(segment[1:17], segment[17:17+total]); err != nil {
			return err
		}
		segment = segment[17+total:]
	}
	return nil
}

func (h *huffman) build(counts, symbols []byte) error {
	*h = huffman{defined: true}
	copy(h.symbols[:], symbols)
	code, index := int32(0), int32(0)
	for length := 1; length <= 16; length++ {
		h.offset[length] = index - code
		for range counts[length-1] {
			if code >= 1<<length {
				return invalid("a Huffman table with more codes of %d bits than there are", length)
			}
			if length <= lookupBits {
				first := code << (lookupBits - length)
				for i := range int32(1) << (lookupBits - length) {
					h.lookup[first+i] = uint16(length)<<8 | uint16(h.symbols[index])
				}
			}
			code++
			index++
		}
		h.limit[length] = code << (16 - length)
		code <<= 1
	}
	return nil
}

// symbol reads one code; ok is false where the bits are none. Afterwards 16 bits more can be taken without filling.
func (r *bitReader) symbol(h *huffman) (symbol uint8, ok bool) {
	if r.count < 32 {
		r.fill()
	}
	if entry := h.lookup[r.bits>>(r.count-lookupBits)&(1<<lookupBits-1)]; entry != 0 {
		r.count -= int(entry >> 8)
		return uint8(entry), true
	}
	ahead := int32(r.bits >> (r.count - 16) & 0xFFFF)
	for length := 1; length <= 16; length++ {
		if ahead < h.limit[length] {
			r.count -= length
			return h.symbols[(ahead>>(16-length)+h.offset[length])&0xFF], true
		}
	}
	return 0, false
}
