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

// What the two passes shift away, and what rounds before that; the rows' also adds the 128 that samples are lowered by.
const (
	columnShift  = constBits - pass1Bits
	roundColumns = 1 << (columnShift - 1)
	rowShift     = constBits + pass1Bits + 3
	roundRows    = 1<<(rowShift-1) + 128<<rowShift
)

// inverse transforms a block of dequantized coefficients in natural order, and writes its 8×8 samples to plane, whose
// rows are stride bytes apart. It is libjpeg's accurate integer method ("islow"): columns, rounded to 2 binary places, then rows.
// The one-dimensional transform stands here twice, since a function for it would not be inlined.
func inverse(block *[64]int32, plane []uint8, stride int) {
	for i := range 8 {
		x0, x1, x2, x3 := block[i], block[8+i], block[16+i], block[24+i]
		x4, x5, x6, x7 := block[32+i], block[40+i], block[48+i], block[56+i]
		// Most columns of most blocks have no more than a first coefficient: the general way gives the same, slower.
		if x1|x2|x3|x4|x5|x6|x7 == 0 {
			v := x0 << pass1Bits
			block[i], block[8+i], block[16+i], block[24+i] = v, v, v, v
			block[32+i], block[40+i], block[48+i], block[56+i] = v, v, v, v
			continue
		}

		z1 := (x2 + x6) * fix0541196100
		t2, t3 := z1-x6*fix1847759065, z1+x2*fix0765366865
		t0, t1 := (x0+x4)<<constBits+roundColumns, (x0-x4)<<constBits+roundColumns
		e0, e1, e2, e3 := t0+t3, t1+t2, t1-t2, t0-t3

		y1, y2, y3, y4 := x7+x1, x5+x3, x7+x3, x5+x1
		y5 := (y3 + y4) * fix1175875602
		y1 *= -fix0899976223
		y2 *= -fix2562915447
		y3 = y3*-fix1961570560 + y5
		y4 = y4*-fix0390180644 + y5
		o0 := x1*fix1501321110 + y1 + y4
		o1 := x3*fix3072711026 + y2 + y3
		o2 := x5*fix2053119869 + y2 + y4
		o3 := x7*fix0298631336 + y1 + y3

		block[i], block[56+i] = (e0+o0)>>columnShift, (e0-o0)>>columnShift
		block[8+i], block[48+i] = (e1+o1)>>columnShift, (e1-o1)>>columnShift
		block[16+i], block[40+i] = (e2+o2)>>columnShift, (e2-o2)>>columnShift
		block[24+i], block[32+i] = (e3+o3)>>columnShift, (e3-o3)>>columnShift
	}
	for i := range 8 {
		row := block[8*i : 8*i+8 : 8*i+8]
		out := plane[i*stride : i*stride+8 : i*stride+8]
		x0, x1, x2, x3, x4, x5, x6, x7 := row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]
		if x1|x2|x3|x4|x5|x6|x7 == 0 {
			v := clamp((x0<<constBits + roundRows) >> rowShift)
			for j := range out {
				out[j] = v
			}
			continue
		}

		z1 := (x2 + x6) * fix0541196100
		t2, t3 := z1-x6*fix1847759065, z1+x2*fix0765366865
		t0, t1 := (x0+x4)<<constBits+roundRows, (x0-x4)<<constBits+roundRows
		e0, e1, e2, e3 := t0+t3, t1+t2, t1-t2, t0-t3

		y1, y2, y3, y4 := x7+x1, x5+x3, x7+x3, x5+x1
		y5 := (y3 + y4) * fix1175875602
		y1 *= -fix0899976223
		y2 *= -fix2562915447
		y3 = y3*-fix1961570560 + y5
		y4 = y4*-fix0390180644 + y5
		o0 := x1*fix1501321110 + y1 + y4
		o1 := x3*fix3072711026 + y2 + y3
		o2 := x5*fix2053119869 + y2 + y4
		o3 := x7*fix0298631336 + y1 + y3

		out[0], out[7] = clamp((e0+o0)>>rowShift), clamp((e0-o0)>>rowShift)
		out[1], out[6] = clamp((e1+o1)>>rowShift), clamp((e1-o1)>>rowShift)
		out[2], out[5] = clamp((e2+o2)>>rowShift), clamp((e2-o2)>>rowShift)
		out[3], out[4] = clamp((e3+o3)>>rowShift), clamp((e3-o3)>>rowShift)
	}
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
