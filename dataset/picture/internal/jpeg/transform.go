package jpeg

// The constants of libjpeg's jidctint.c: numbers of 13 binary places.
const (
	constBits = 13
	pass1Bits = 2

	fix0298631336 = 2446
	fix0390180644 = 3196
	fix0541196100 = 4433
	fix0765366865 = 6270
	fix0899976223 = 7373
	fix1175875602 = 9633
	fix1501321110 = 12299
	fix1847759065 = 15137
	fix1961570560 = 16069
	fix2053119869 = 16819
	fix2562915447 = 20995
	fix3072711026 = 25172
)

// inverse transforms a block of dequantized coefficients in natural order, and writes its 8×8 samples to plane, whose
// rows are stride bytes apart. It is libjpeg's accurate integer method ("islow"): columns, rounded to 2 binary places, then rows.
func inverse(block *[64]int32, plane []uint8, stride int) {
	for i := range 8 {
		// Most columns of most blocks have no more than a first coefficient: the general way gives the same, slower.
		if block[8+i]|block[16+i]|block[24+i]|block[32+i]|block[40+i]|block[48+i]|block[56+i] == 0 {
			v := block[i] << pass1Bits
			for j := range 8 {
				block[8*j+i] = v
			}
			continue
		}
		even, odd := butterflies(block[i], block[8+i], block[16+i], block[24+i], block[32+i], block[40+i], block[48+i],
			block[56+i], 1<<(constBits-pass1Bits-1))
		for j := range 4 {
			block[8*j+i] = (even[j] + odd[j]) >> (constBits - pass1Bits)
			block[8*(7-j)+i] = (even[j] - odd[j]) >> (constBits - pass1Bits)
		}
	}
	const shift = constBits + pass1Bits + 3
	for i := range 8 {
		row := block[8*i : 8*i+8 : 8*i+8]
		out := plane[i*stride : i*stride+8 : i*stride+8]
		// The half of rounding and the 128 that the samples are shifted by, in one.
		even, odd := butterflies(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], 1<<(shift-1)+128<<shift)
		for j := range 4 {
			out[j] = clamp((even[j] + odd[j]) >> shift)
			out[7-j] = clamp((even[j] - odd[j]) >> shift)
		}
	}
}

// butterflies is the one-dimensional transform: the outputs j and 7−j are even[j] ± odd[j], with 13 binary places more than the inputs.
// The bias is added to every output.
func butterflies(x0, x1, x2, x3, x4, x5, x6, x7, bias int32) (even, odd [4]int32) {
	z1 := (x2 + x6) * fix0541196100
	t2 := z1 - x6*fix1847759065
	t3 := z1 + x2*fix0765366865
	t0 := (x0+x4)<<constBits + bias
	t1 := (x0-x4)<<constBits + bias
	even = [4]int32{t0 + t3, t1 + t2, t1 - t2, t0 - t3}

	z1, z2, z3, z4 := x7+x1, x5+x3, x7+x3, x5+x1
	z5 := (z3 + z4) * fix1175875602
	z1 *= -fix0899976223
	z2 *= -fix2562915447
	z3 = z3*-fix1961570560 + z5
	z4 = z4*-fix0390180644 + z5
	odd = [4]int32{
		x1*fix1501321110 + z1 + z4,
		x3*fix3072711026 + z2 + z3,
		x5*fix2053119869 + z2 + z4,
		x7*fix0298631336 + z1 + z3,
	}
	return even, odd
}

// flat is inverse for a block of which only the first coefficient is not 0.
func flat(first int32, plane []uint8, stride int) {
	v := clamp((first<<pass1Bits+1<<(pass1Bits+2))>>(pass1Bits+3) + 128)
	for i := range 8 {
		out := plane[i*stride : i*stride+8 : i*stride+8]
		for j := range out {
			out[j] = v
		}
	}
}

func clamp(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31))
	}
	return uint8(v)
}
