package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of normaliseArgs' fields; a test in package kernel compares them.
const (
	normaliseX         = 0
	normaliseY         = 8
	normaliseDy        = 16
	normaliseRowStep   = 24
	normaliseRows      = 32
	normaliseVectors   = 40
	normaliseTable     = 48
	normaliseSums      = 56
	normaliseLow       = 64
	normaliseHigh      = 68
	normaliseLeft      = 72
	normaliseSumsAt    = 80
	normaliseXAt       = 88
	normaliseDyAt      = 96
	normaliseTableRows = 6 // vectors of the table for each vector of channels
)

// notGreaterOrEqual is the predicate NGE_UQ of VCMPPS: true for NaN.
const notGreaterOrEqual = 0x19

// normalise generates the passes of batch normalisation over rows of channels. A row of the table is six vectors: mean,
// scale and bias of the forward pass, and the factors of dy and of x − mean and the summand of the gradient.
func (v *vector) normalise() {
	v.normaliseSums("normaliseSums", "adds sums of x − mean and of its squares; see normaliseArgs.", false)
	v.normaliseSums("normaliseGradientSums", "adds sums of dy and of dy·(x − mean); see normaliseArgs.", true)
	v.normaliseRows("normaliseForward", "computes y from x; see normaliseArgs.", false)
	v.normaliseRows("normaliseGradient", "computes dx from dy and x; see normaliseArgs.", true)
}

func (v *vector) table(base reg.Register, k int) Mem { return Mem{Base: base, Disp: k * v.bytes} }

// passed leaves g where y = centred·scale + bias lies between low and high, and 0 elsewhere. NaN passes, and a bound of NaN
// does not bound.
func (v *vector) passed(centred, scale, bias, low, high, g reg.VecVirtual) {
	y := v.register()
	VMOVAPS(bias, y)
	VFMADD231PS(scale, centred, y)
	if v.wide {
		k := K()
		VCMPPS(Imm(notLessOrEqual), low, y, k)
		VMOVAPS_Z(g, k, g)
		VCMPPS(Imm(notGreaterOrEqual), high, y, k)
		VMOVAPS_Z(g, k, g)
		return
	}
	c := YMM()
	VCMPPS(Imm(notLessOrEqual), low, y, c)
	VANDPS(c, g, g)
	VCMPPS(Imm(notGreaterOrEqual), high, y, c)
	VANDPS(c, g, g)
}

// addDoubles adds a vector of float32 to two of float64.
func (v *vector) addDoubles(x reg.VecVirtual, sums []reg.VecVirtual) {
	low, high := v.register(), v.register()
	if v.wide {
		VCVTPS2PD(x.AsY(), low)
		upper := YMM()
		VEXTRACTF64X4(Imm(1), x, upper)
		VCVTPS2PD(upper, high)
	} else {
		VCVTPS2PD(x.AsX(), low)
		upper := XMM()
		VEXTRACTF128(Imm(1), x, upper)
		VCVTPS2PD(upper, high)
	}
	VADDPD(low, sums[0], sums[0])
	VADDPD(high, sums[1], sums[1])
}

// normaliseSums sums over rows, a vector of channels after the other: the float32 sums of four rows are added to float64.
func (v *vector) normaliseSums(name, doc string, gradient bool) {
	v.text(name, "func(args *byte)", doc)
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	t := GP64()
	moves := [][2]int{{normaliseX, normaliseXAt}, {normaliseVectors, normaliseLeft}, {normaliseSums, normaliseSumsAt}}
	if gradient {
		moves = append(moves, [2]int{normaliseDy, normaliseDyAt})
	}
	for _, move := range moves {
		MOVQ(field(args, move[0]), t)
		MOVQ(t, field(args, move[1]))
	}
	table, step, triple := GP64(), GP64(), GP64()
	MOVQ(field(args, normaliseTable), table)
	MOVQ(field(args, normaliseRowStep), step)
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, triple)
	low, high := v.register(), v.register()
	if gradient {
		VBROADCASTSS(field(args, normaliseLow), low)
		VBROADCASTSS(field(args, normaliseHigh), high)
	}
	Label("vector")
	x, dy, rows, sumsAt := GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, normaliseXAt), x)
	MOVQ(field(args, normaliseRows), rows)
	MOVQ(field(args, normaliseSumsAt), sumsAt)
	if gradient {
		MOVQ(field(args, normaliseDyAt), dy)
	}
	sums := v.registers(4)
	for i, r := range sums {
		VMOVUPD(Mem{Base: sumsAt, Disp: i * v.bytes}, r)
	}
	mean, scale, bias := v.register(), v.register(), v.register()
	VMOVUPS(v.table(table, 0), mean)
	if gradient {
		VMOVUPS(v.table(table, 1), scale)
		VMOVUPS(v.table(table, 2), bias)
	}
	// terms of one row: what is added to the two sums, the second one by multiplication.
	row := func(place func(base reg.Register) Mem) (a, b reg.VecVirtual) {
		centred := v.register()
		VMOVUPS(place(x), centred)
		VSUBPS(mean, centred, centred)
		if !gradient {
			return centred, centred
		}
		g := v.register()
		VMOVUPS(place(dy), g)
		v.passed(centred, scale, bias, low, high, g)
		return g, centred
	}
	SUBQ(Imm(4), rows)
	JLT(LabelRef("rest"))
	Label("four")
	places := []func(base reg.Register) Mem{
		func(base reg.Register) Mem { return Mem{Base: base} },
		func(base reg.Register) Mem { return Mem{Base: base, Index: step, Scale: 1} },
		func(base reg.Register) Mem { return Mem{Base: base, Index: step, Scale: 2} },
		func(base reg.Register) Mem { return Mem{Base: base, Index: triple, Scale: 1} },
	}
	sum, products := v.register(), v.register()
	for i, place := range places {
		a, b := row(place)
		if i == 0 {
			VMOVAPS(a, sum)
			VMULPS(a, b, products)
			continue
		}
		VADDPS(a, sum, sum)
		VFMADD231PS(a, b, products)
	}
	v.addDoubles(sum, sums[:2])
	v.addDoubles(products, sums[2:])
	LEAQ(Mem{Base: x, Index: step, Scale: 4}, x)
	if gradient {
		LEAQ(Mem{Base: dy, Index: step, Scale: 4}, dy)
	}
	SUBQ(Imm(4), rows)
	JGE(LabelRef("four"))
	Label("rest")
	ADDQ(Imm(4), rows)
	JZ(LabelRef("done"))
	Label("one")
	{
		a, b := row(places[0])
		product := v.register()
		VMULPS(a, b, product)
		v.addDoubles(a, sums[:2])
		v.addDoubles(product, sums[2:])
		ADDQ(step, x)
		if gradient {
			ADDQ(step, dy)
		}
	}
	DECQ(rows)
	JNZ(LabelRef("one"))
	Label("done")
	for i, r := range sums {
		VMOVUPD(r, Mem{Base: sumsAt, Disp: i * v.bytes})
	}
	ADDQ(U32(4*v.bytes), field(args, normaliseSumsAt))
	ADDQ(U32(v.bytes), field(args, normaliseXAt))
	if gradient {
		ADDQ(U32(v.bytes), field(args, normaliseDyAt))
	}
	ADDQ(U32(normaliseTableRows*v.bytes), table)
	DECQ(field(args, normaliseLeft))
	JNZ(LabelRef("vector"))
	leave()
}

// normaliseRows goes over rows in their order, whose channels' factors stay in the first-level cache.
func (v *vector) normaliseRows(name, doc string, gradient bool) {
	v.text(name, "func(args *byte)", doc)
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	x, y, dy, step, rows := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, normaliseX), x)
	MOVQ(field(args, normaliseY), y)
	MOVQ(field(args, normaliseRowStep), step)
	MOVQ(field(args, normaliseRows), rows)
	if gradient {
		MOVQ(field(args, normaliseDy), dy)
	}
	low, high := v.register(), v.register()
	VBROADCASTSS(field(args, normaliseLow), low)
	VBROADCASTSS(field(args, normaliseHigh), high)
	Label("row")
	lane, left, table := GP64(), GP64(), GP64()
	XORQ(lane, lane)
	MOVQ(field(args, normaliseVectors), left)
	MOVQ(field(args, normaliseTable), table)
	Label("vector")
	centred, scale, bias := v.register(), v.register(), v.register()
	VMOVUPS(at(x, lane), centred)
	VSUBPS(v.table(table, 0), centred, centred)
	VMOVUPS(v.table(table, 1), scale)
	VMOVUPS(v.table(table, 2), bias)
	if gradient {
		g := v.register()
		VMOVUPS(at(dy, lane), g)
		v.passed(centred, scale, bias, low, high, g)
		sum, factor := v.register(), v.register()
		VMOVUPS(v.table(table, 5), sum)
		VMOVUPS(v.table(table, 4), factor)
		VFMADD231PS(factor, centred, sum)
		VMOVUPS(v.table(table, 3), factor)
		VFMADD231PS(factor, g, sum)
		VMOVUPS(sum, at(y, lane))
	} else {
		VFMADD231PS(scale, centred, bias)
		VMAXPS(bias, low, bias)
		VMINPS(bias, high, bias)
		VMOVUPS(bias, at(y, lane))
	}
	ADDQ(U32(v.bytes), lane)
	ADDQ(U32(normaliseTableRows*v.bytes), table)
	DECQ(left)
	JNZ(LabelRef("vector"))
	ADDQ(step, x)
	ADDQ(step, y)
	if gradient {
		ADDQ(step, dy)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	leave()
}
