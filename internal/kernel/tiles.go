package kernel

import "unsafe"

// tileArgs describes products of bfloat16 with float32 sums, C += A·B, by tiles: 16 rows of A and
// of C, 32 columns of A, and one or two times up to 16 columns of B and C. The sum of a tile runs
// over Runs×Chunks times 32 columns of A, 64 bytes each; after a run, A moves by AJump more. B
// holds for each of them a tile of 16 rows of pairs, and BTile behind it another, column by column:
// row r has the factors of A's columns 2r and 2r+1. A row of a tile that does not start on a cache
// line takes more than twice the time. An instruction takes subnormal numbers for 0 (Intel,
// TDPBF16PS).
type tileArgs struct {
	A        unsafe.Pointer
	AOffsets *int64 // of the tiles, in bytes
	ARow     int    // bytes from row to row of a tile
	C        unsafe.Pointer
	COffsets *int64
	CRow     int
	Tiles    int
	Runs     int
	Chunks   int
	AJump    int
	B        unsafe.Pointer
	Init     unsafe.Pointer // a row that those of C's tiles start from; nil: C is added to
	Config   *tileConfig
	Columns  int // tiles of B beside each other: 1 or 2
	BTile    int // bytes from the first one's tiles to the second's
}

// tileConfig is the shape of the eight registers: the memory that LDTILECFG reads.
type tileConfig struct {
	palette uint8
	_       [15]uint8  // where an instruction goes on that was interrupted
	bytes   [16]uint16 // of a row
	rows    [16]uint8
}

const (
	tileRowsMost = 16  // of a tile
	tileDepth    = 32  // of a chunk: columns of A
	tilePanel    = 32  // columns of two tiles
	tileWords    = 256 // of a tile of B, of four bytes
)

// newTileConfig returns the shapes for tiles of so many rows, and so many columns of C.
func newTileConfig(rows, columns int) *tileConfig {
	c := &tileConfig{palette: 1}
	left, right := min(columns, tileRowsMost), max(columns-tileRowsMost, 0)
	for i, width := range [...]int{left, right, left, right, tileRowsMost, tileRowsMost, left, right} {
		if width == 0 {
			continue
		}
		c.bytes[i], c.rows[i] = uint16(4*width), uint8(rows)
		if i >= 6 {
			c.rows[i] = tileRowsMost // pairs of B
		}
	}
	return c
}

// columns returns how many tiles of B lie beside each other.
func (c *tileConfig) columns() int {
	if c.bytes[1] > 0 {
		return 2
	}
	return 1
}

// product16 computes; the shapes are those of a.Config.
func (s *Set) product16(a *tileArgs) {
	a.Columns = a.Config.columns()
	s.tiles((*byte)(unsafe.Pointer(a)))
}

// roundUp returns the multiple of step at or above n.
func roundUp(n, step int) int { return ceil(n, step) * step }

// pairsOf returns the memory of values as pairs of bfloat16.
func pairsOf(values []float32) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(values))), len(values))
}

// halves returns the memory of values as so many bfloat16 as it holds.
func halves(values []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(values))), 2*len(values))
}

// halves16 returns the memory of pairs as bfloat16.
func halves16(pairs []uint32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(pairs))), 2*len(pairs))
}

// floatsOf returns the memory of pairs as float32, which are moved alone.
func floatsOf(pairs []uint32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(pairs))), len(pairs))
}

// words returns the memory of bfloat16 as pairs.
func words(values []uint16) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(values))), len(values)/2)
}

// roundedTo16 is the bfloat16 nearest to v, of two the even one; a NaN stays one.
func roundedTo16(v uint32) uint16 {
	if v&0x7fffffff > 0x7f800000 {
		return uint16(v>>16) | 0x40
	}
	return uint16((v + 0x7fff + v>>16&1) >> 16)
}

// round writes count rows of n elements as bfloat16; steps are in elements.
func (s *Set) round(dst []uint16, dstStep int, src []float32, srcStep, n, count int) {
	done := 0
	if s.bfloat16 != nil && count > 0 {
		if done = s.whole(n); done > 0 {
			s.bfloat16(&dst[0], &src[0], done, count, 2*dstStep, 4*srcStep)
		}
	}
	if done == n {
		return
	}
	from := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(src))), len(src))
	for t := range count {
		for i := done; i < n; i++ {
			dst[t*dstStep+i] = roundedTo16(from[t*srcStep+i])
		}
	}
}

// neighbours writes pairs of count rows of groups times 16 elements, srcStep apart, each with the
// next: in even those of even rows, and in odd, which may be nil, those of odd rows, behind the
// first one alone. What is beyond the last one is 0. The pairs of 16 elements lie one behind the
// other, and those of the next 16 groupStep words from there.
func (s *Set) neighbours(even, odd []uint32, src []float32, count, groups, srcStep, groupStep int) {
	if count == 0 {
		return
	}
	if s.bfloat16Neighbours != nil {
		s.bfloat16Neighbours(&even[0], unsafe.SliceData(odd), &src[0], count, groups, 4*srcStep,
			4*groupStep)
		return
	}
	from := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(src))), len(src))
	for group := range groups {
		for i := range tileRowsMost {
			column := from[group*tileRowsMost+i:]
			at := group*groupStep + i
			before := uint32(0)
			for row := 0; row <= count; row++ {
				now := uint32(0)
				if row < count {
					now = uint32(roundedTo16(column[row*srcStep]))
				}
				pair := before | now<<16
				if row%2 == 1 {
					even[at+row/2*tileRowsMost] = pair
				} else if odd != nil {
					odd[at+row/2*tileRowsMost] = pair
				}
				before = now
			}
		}
	}
}

// pairUp writes count rows of pairs: row t has, dstStep words from the one before, for each of n
// columns the bfloat16 of a and of b, whose rows are step apart. A step of 0 for b repeats its row.
func (s *Set) pairUp(dst []uint32, dstStep int, a []float32, aStep int, b []float32, bStep, n,
	count int) {
	done := 0
	if s.bfloat16Pairs != nil && count > 0 {
		if done = s.whole(n); done > 0 {
			s.bfloat16Pairs(&dst[0], &a[0], &b[0], done, count, 4*dstStep, 4*aStep, 4*bStep)
		}
	}
	if done == n {
		return
	}
	low := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(a))), len(a))
	high := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
	for t := range count {
		for i := done; i < n; i++ {
			dst[t*dstStep+i] = uint32(roundedTo16(low[t*aStep+i])) |
				uint32(roundedTo16(high[t*bStep+i]))<<16
		}
	}
}

// portableTiles is the product in Go, which the tests hold against the reference on any CPU.
func portableTiles(args *byte) {
	a := (*tileArgs)(unsafe.Pointer(args))
	widths := [2]int{int(a.Config.bytes[0]) / 4, int(a.Config.bytes[1]) / 4}
	from := unsafe.Slice(a.AOffsets, a.Tiles)
	to := unsafe.Slice(a.COffsets, a.Tiles)
	for t := range a.Tiles {
		for row := range int(a.Config.rows[0]) {
			for tile := range a.Columns {
				for column := range widths[tile] {
					at := (*float32)(unsafe.Add(a.C, int(to[t])+row*a.CRow+64*tile+4*column))
					sum := *at
					if a.Init != nil {
						sum = *(*float32)(unsafe.Add(a.Init, 64*tile+4*column))
					}
					x, y := int(from[t])+row*a.ARow, a.BTile*tile+4*column
					for range a.Runs {
						for range a.Chunks {
							// Made anew from A and B: behind the last chunk there is nothing to point to.
							left, right := unsafe.Add(a.A, x), unsafe.Add(a.B, y)
							for k := range tileDepth / 2 {
								p, q := *(*uint32)(unsafe.Add(left, 4*k)), *(*uint32)(unsafe.Add(right, 64*k))
								sum += widened(p<<16)*widened(q<<16) +
									widened(p&0xffff0000)*widened(q&0xffff0000)
							}
							x, y = x+64, y+1024
						}
						x += a.AJump
					}
					*at = sum
				}
			}
		}
	}
}

func widened(bits uint32) float32 { return *(*float32)(unsafe.Pointer(&bits)) }
