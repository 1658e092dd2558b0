package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of winogradArgs' fields; a test in package kernel compares them.
const (
	winogradSrc        = 0
	winogradSrcOffsets = 8
	winogradSrcRow     = 16
	winogradSrcColumn  = 24
	winogradDst        = 32
	winogradDstOffsets = 40
	winogradDstRow     = 48
	winogradDstColumn  = 56
	winogradTiles      = 64
	winogradVectors    = 72
	winogradScratch    = 80
	winogradBias       = 88
	winogradCheck      = 96
	winogradFloor      = 104
	winogradLeft       = 112
	winogradInside     = 120
	winogradZeros      = 128
	winogradAdd        = 136
)

// constants is a table of vectors of one value each, for arithmetic with an operand in memory.
type constants struct {
	v     *vector
	table Mem
	at    map[float32]int
}

func (v *vector) constants(name string) *constants {
	return &constants{v: v, table: GLOBL(name+v.suffix, attr.RODATA|attr.NOPTR),
		at: make(map[float32]int)}
}

func (c *constants) of(x float64) Mem {
	value := float32(x)
	at, ok := c.at[value]
	if !ok {
		at = len(c.at) * c.v.bytes
		c.at[value] = at
		for i := 0; i < c.v.bytes; i += 4 {
			DATA(at+i, U32(math.Float32bits(value))) // F32 would write whole numbers as integers
		}
	}
	return c.table.Offset(at)
}

// line transforms a row or a column of a tile: it gives each of its results once.
type line func(in []reg.VecVirtual, give func(i int, r reg.VecVirtual))

// winograd generates the transforms of Winograd's minimal filtering, of tiles of 6×6: of the input,
// and, for kernels of 3×3 to 5×5, of the weights, of the output and of the gradients of both.
// Package kernel's winograd.go has the matrices.
func (v *vector) winograd() {
	c := v.constants("winogradConstants")
	v.separable("winogradInput", 6, 6, v.inputLine(c), separable{masked: true})
	for kernel := 3; kernel <= 5; kernel++ {
		size := 7 - kernel
		name := func(what string) string { return fmt.Sprintf("winograd%s%d", what, kernel) }
		v.separable(name("Weights"), kernel, 6, v.pointsLine(c, kernel, true), separable{})
		v.separable(name("Output"), 6, size, v.powersLine(c, size, false),
			separable{checked: true, finished: true})
		v.separable(name("Gradient"), size, 6, v.pointsLine(c, size, false), separable{masked: true})
		v.separable(name("WeightsGradient"), 6, kernel, v.powersLine(c, kernel, true),
			separable{checked: true})
	}
}

// separable says what a transform does beside its arithmetic.
type separable struct {
	masked   bool // elements of the source that do not lie inside are zero
	checked  bool // results that are not finite leave a trace
	finished bool // the bias is added, and what there is to add, and the sum rectified
}

// pair stands for the points ±√square; what is computed with them is divided by divisor.
type pair struct{ square, divisor float64 }

// power returns ±√square to the k-th power, without the sign, over the divisor.
func (p pair) power(k int) float64 { return math.Pow(p.square, float64(k)/2) / p.divisor }

// pairs returns the points of the matrix A, or of G, whose rows are divided by the products of the
// points' differences.
func pairs(divided bool) [2]pair {
	if divided {
		return [2]pair{{0.5, -1.5}, {2, 6}}
	}
	return [2]pair{{0.5, 1}, {2, 1}}
}

// scaled returns a new register with x times a constant.
func (v *vector) scaled(m Mem, x reg.VecVirtual) reg.VecVirtual {
	r := v.register()
	VMULPS(m, x, r)
	return r
}

func (v *vector) copied(x reg.VecVirtual) reg.VecVirtual {
	r := v.register()
	VMOVAPS(x, r)
	return r
}

// sumAndDifference gives even + odd as result i and even - odd as the next, and overwrites both.
func (v *vector) sumAndDifference(i int, even, odd reg.VecVirtual,
	give func(i int, r reg.VecVirtual)) {
	sum := v.register()
	VADDPS(odd, even, sum)
	give(i, sum)
	VSUBPS(odd, even, even)
	give(i+1, even)
}

func (v *vector) inputLine(c *constants) line {
	return func(d []reg.VecVirtual, give func(i int, r reg.VecVirtual)) {
		first := v.register()
		VADDPS(d[4], d[0], first)
		VFMADD231PS(c.of(-2.5), d[2], first)
		give(0, first)
		for i, square := range []float64{2, 0.5} { // of the other pair of points
			even, odd := v.copied(d[4]), v.copied(d[3])
			VFMADD231PS(c.of(-square), d[2], even)
			VFMADD231PS(c.of(-square), d[1], odd)
			VMULPS(c.of(1/math.Sqrt(square)), odd, odd)
			v.sumAndDifference(1+2*i, even, odd, give)
		}
		last := v.register()
		VADDPS(d[5], d[1], last)
		VFMADD231PS(c.of(-2.5), d[3], last)
		give(5, last)
	}
}

// times returns a new register with x times a constant.
func (v *vector) times(c *constants, constant float64, x reg.VecVirtual) reg.VecVirtual {
	if constant == 1 {
		return v.copied(x)
	}
	return v.scaled(c.of(constant), x)
}

// pointsLine gives the values of a polynomial of size coefficients at the points: G's and A's.
func (v *vector) pointsLine(c *constants, size int, divided bool) line {
	pairs := pairs(divided)
	return func(g []reg.VecVirtual, give func(i int, r reg.VecVirtual)) {
		give(0, g[0])
		for i, pair := range pairs {
			even, odd := v.times(c, pair.power(0), g[0]), v.times(c, pair.power(1), g[1])
			for k := 2; k < size; k++ {
				VFMADD231PS(c.of(pair.power(k)), g[k], []reg.VecVirtual{even, odd}[k%2])
			}
			v.sumAndDifference(1+2*i, even, odd, give)
		}
		give(5, g[size-1])
	}
}

// powersLine gives the sums over the points of the values times the point's power: Aᵀ's and Gᵀ's.
func (v *vector) powersLine(c *constants, size int, divided bool) line {
	pairs := pairs(divided)
	return func(x []reg.VecVirtual, give func(i int, r reg.VecVirtual)) {
		var sums, differences [2]reg.VecVirtual
		for i := range sums {
			sums[i], differences[i] = v.register(), v.register()
			VADDPS(x[2+2*i], x[1+2*i], sums[i])
			VSUBPS(x[2+2*i], x[1+2*i], differences[i])
		}
		first := v.register()
		if !divided {
			VADDPS(sums[0], x[0], first)
			VADDPS(sums[1], first, first)
		} else {
			VMOVAPS(x[0], first)
			for i, pair := range pairs {
				VFMADD231PS(c.of(pair.power(0)), sums[i], first)
			}
		}
		give(0, first)
		for power := 1; power < size; power++ {
			terms := sums
			if power%2 == 1 {
				terms = differences
			}
			r := v.times(c, pairs[0].power(power), terms[0])
			VFMADD231PS(c.of(pairs[1].power(power)), terms[1], r)
			if power == size-1 {
				VADDPS(x[5], r, r)
			}
			give(power, r)
		}
	}
}

// separable generates a transform of the columns and then of the rows of each tile, from inputs² to
// outputs² vectors.
func (v *vector) separable(name string, inputs, outputs int, transform line, also separable) {
	v.text(name, "func(args *byte)",
		fmt.Sprintf("transforms tiles of %d×%d into %d×%d; see winogradArgs.", inputs, inputs, outputs,
			outputs))
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	load := func(offset int) reg.GPVirtual {
		r := GP64()
		MOVQ(field(args, offset), r)
		return r
	}
	srcRow, srcColumn, dstRow, dstColumn := load(winogradSrcRow), load(winogradSrcColumn), load(
		winogradDstRow), load(winogradDstColumn)
	scratch := load(winogradScratch)
	tile := GP64()
	XORQ(tile, tile)
	var check, zero, floor reg.VecVirtual
	if also.checked {
		check, zero = v.register(), v.register()
		VMOVUPS(Mem{Base: load(winogradCheck)}, check)
		v.zero(zero)
	}
	if also.finished {
		floor = v.register()
		VBROADCASTSS(field(args, winogradFloor), floor)
	}
	Label("tile")
	lane, left := GP64(), GP64()
	XORQ(lane, lane)
	MOVQ(field(args, winogradVectors), left)
	MOVQ(left, field(args, winogradLeft))
	Label("vector")
	// start returns base + offsets[tile] + lane.
	start := func(base, offsets int) reg.GPVirtual {
		p := load(offsets)
		MOVQ(Mem{Base: p, Index: tile, Scale: 8}, p)
		ADDQ(field(args, base), p)
		ADDQ(lane, p)
		return p
	}
	columns := func(inside reg.GPVirtual) {
		src := start(winogradSrc, winogradSrcOffsets)
		in := make([]reg.VecVirtual, inputs)
		for j := range inputs {
			p := GP64()
			MOVQ(src, p)
			for i := range in {
				in[i] = v.register()
				at := p
				if inside != nil {
					at = GP64()
					MOVQ(p, at)
					SHRQ(Imm(1), inside)
					CMOVQCC(field(args, winogradZeros), at)
				}
				VMOVUPS(Mem{Base: at}, in[i])
				if i+1 < inputs {
					ADDQ(srcRow, p)
				}
			}
			transform(in, func(i int, r reg.VecVirtual) {
				VMOVUPS(r, Mem{Base: scratch, Disp: (i*inputs + j) * v.bytes})
			})
			if j+1 < inputs {
				ADDQ(srcColumn, src)
			}
		}
	}
	if also.masked {
		inside, all := load(winogradInside), GP64()
		MOVQ(Mem{Base: inside, Index: tile, Scale: 8}, inside)
		MOVQ(U64(1<<(inputs*inputs)-1), all)
		CMPQ(inside, all)
		JEQ(LabelRef("whole"))
		columns(inside)
		JMP(LabelRef("rows"))
		Label("whole")
	}
	columns(nil)
	if also.masked {
		Label("rows")
	}
	dst := start(winogradDst, winogradDstOffsets)
	var bias reg.GPVirtual
	if also.finished {
		bias = load(winogradBias)
	}
	// rows transforms the rows; apart, unless nil, is how far from each result lies what is added to
	// it.
	rows := func(apart reg.GPVirtual) {
		in := make([]reg.VecVirtual, inputs)
		for i := range outputs {
			for j := range in {
				in[j] = v.register()
				VMOVUPS(Mem{Base: scratch, Disp: (i*inputs + j) * v.bytes}, in[j])
			}
			p := GP64()
			MOVQ(dst, p)
			transform(in, func(j int, r reg.VecVirtual) {
				if also.checked {
					VFMADD231PS(zero, r, check) // what is not finite makes NaN, which stays
				}
				if also.finished {
					VADDPS(Mem{Base: bias, Index: lane, Scale: 1}, r, r)
				}
				if apart != nil {
					VADDPS(Mem{Base: p, Index: apart, Scale: 1}, r, r)
				}
				if also.finished {
					VMAXPS(r, floor, r)
				}
				VMOVUPS(r, Mem{Base: p})
				if j+1 < outputs {
					ADDQ(dstColumn, p)
				}
			})
			if i+1 < outputs {
				ADDQ(dstRow, dst)
			}
		}
	}
	if also.finished {
		apart := load(winogradAdd)
		TESTQ(apart, apart)
		JZ(LabelRef("alone"))
		SUBQ(field(args, winogradDst), apart)
		rows(apart)
		JMP(LabelRef("next"))
		Label("alone")
	}
	rows(nil)
	if also.finished {
		Label("next")
	}
	ADDQ(Imm(uint64(v.bytes)), lane)
	DECQ(field(args, winogradLeft))
	JNZ(LabelRef("vector"))
	INCQ(tile)
	CMPQ(tile, field(args, winogradTiles))
	JLT(LabelRef("tile"))
	if also.checked {
		VMOVUPS(check, Mem{Base: load(winogradCheck)})
	}
	leave()
}
