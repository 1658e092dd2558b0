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
	normaliseTogether  = 104
	normaliseRowsLeft  = 112
	normaliseBlock     = 120
	normaliseTableRows = 6 // vectors of the table for each vector of channels
)

// normaliseAhead is how many bytes ahead of its reading a pass over rows asks for x and dy. They
// come from memory, and a row is too short for a core to foresee the next: without it four fifths
// of a pass are waiting.
const normaliseAhead = 1 << 10

// notGreaterOrEqual is the predicate NGE_UQ of VCMPPS: true for NaN.
const notGreaterOrEqual = 0x19

// normalise generates the passes of batch normalisation over rows of channels. A row of the table
// is six vectors: mean, scale and bias of the forward pass, and the factors of dy and of x − mean
// and the summand of the gradient.
func (v *vector) normalise() {
	v.normaliseSums("normaliseSums", "adds sums of x − mean and of its squares; see normaliseArgs.",
		false)
	v.normaliseSums("normaliseGradientSums",
		"adds sums of dy and of dy·(x − mean); see normaliseArgs.", true)
	v.normaliseRows("normaliseForward", "computes y from x; see normaliseArgs.", rowsForward)
	v.normaliseRows("normaliseSum", "computes y from x and what is added to it; see normaliseArgs.",
		rowsSum)
	v.normaliseRows("normaliseGradient", "computes dx from dy and x; see normaliseArgs.", rowsGradient)
}

func (v *vector) table(base reg.Register, k int) Mem { return Mem{Base: base, Disp: k * v.bytes} }

// passed leaves g where y = centred·scale + bias lies between low and high, and 0 elsewhere. NaN
// passes, and a bound of NaN does not bound.
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

// normaliseSums sums over rows, a vector of channels after the other: the float32 sums of four rows
// are added to float64.
func (v *vector) normaliseSums(name, doc string, gradient bool) {
	v.text(name, "func(args *byte)", doc)
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	t := GP64()
	moves := [][2]int{{normaliseX, normaliseXAt}, {normaliseVectors, normaliseLeft},
		{normaliseSums, normaliseSumsAt}}
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

// rowsForm is what normaliseRows generates.
type rowsForm int

const (
	rowsForward rowsForm = iota
	rowsSum              // forward, with what lies at Dy added before it is clamped
	rowsGradient
)

// normaliseRows goes over some rows at a time, a vector of channels after the other, whose factors
// stay in registers meanwhile: so few that each is read on as memory brings it.
func (v *vector) normaliseRows(name, doc string, form rowsForm) {
	v.text(name, "func(args *byte)", doc)
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	step, lane, table, t := GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, normaliseRowStep), step)
	low, high := v.register(), v.register()
	VBROADCASTSS(field(args, normaliseLow), low)
	VBROADCASTSS(field(args, normaliseHigh), high)
	tensors := []*normaliseTensor{{field: normaliseX}, {field: normaliseY}}
	if form != rowsForward {
		tensors = append(tensors, &normaliseTensor{field: normaliseDy})
	}
	for _, one := range tensors {
		one.block, one.at = GP64(), GP64()
		MOVQ(field(args, one.field), one.block)
	}
	MOVQ(field(args, normaliseRows), t)
	MOVQ(t, field(args, normaliseRowsLeft))
	Label("block")
	MOVQ(field(args, normaliseRowsLeft), t)
	CMPQ(t, field(args, normaliseTogether))
	CMOVQGT(field(args, normaliseTogether), t)
	MOVQ(t, field(args, normaliseBlock))
	MOVQ(field(args, normaliseVectors), t)
	MOVQ(t, field(args, normaliseLeft))
	MOVQ(field(args, normaliseTable), table)
	XORQ(lane, lane)
	Label("vector")
	factors := v.registers(3)
	if form == rowsGradient {
		factors = v.registers(6)
	}
	for k, r := range factors {
		VMOVUPS(v.table(table, k), r)
	}
	for _, one := range tensors {
		LEAQ(Mem{Base: one.block, Index: lane, Scale: 1}, one.at)
	}
	rows := GP64()
	MOVQ(field(args, normaliseBlock), rows)
	ahead := func(at Mem) {
		at.Disp += normaliseAhead
		PREFETCHT0(at)
	}
	row := func(place func(base reg.Register) Mem) {
		centred, result := v.register(), v.register()
		ahead(place(tensors[0].at))
		if form != rowsForward {
			ahead(place(tensors[2].at))
		}
		VMOVUPS(place(tensors[0].at), centred)
		VSUBPS(factors[0], centred, centred)
		if form == rowsGradient {
			g := v.register()
			VMOVUPS(place(tensors[2].at), g)
			v.passed(centred, factors[1], factors[2], low, high, g)
			VMOVAPS(factors[5], result)
			VFMADD231PS(factors[4], centred, result)
			VFMADD231PS(factors[3], g, result)
		} else {
			VMOVAPS(factors[2], result)
			VFMADD231PS(factors[1], centred, result)
			if form == rowsSum {
				VADDPS(place(tensors[2].at), result, result)
			}
			VMAXPS(result, low, result)
			VMINPS(result, high, result)
		}
		VMOVUPS(result, place(tensors[1].at))
	}
	first := func(base reg.Register) Mem { return Mem{Base: base} }
	second := func(base reg.Register) Mem { return Mem{Base: base, Index: step, Scale: 1} }
	SUBQ(Imm(2), rows)
	JLT(LabelRef("rest"))
	Label("two")
	row(first)
	row(second)
	for _, one := range tensors {
		LEAQ(Mem{Base: one.at, Index: step, Scale: 2}, one.at)
	}
	SUBQ(Imm(2), rows)
	JGE(LabelRef("two"))
	Label("rest")
	ADDQ(Imm(2), rows)
	JZ(LabelRef("done"))
	row(first)
	Label("done")
	ADDQ(U32(v.bytes), lane)
	ADDQ(U32(normaliseTableRows*v.bytes), table)
	DECQ(field(args, normaliseLeft))
	JNZ(LabelRef("vector"))
	MOVQ(field(args, normaliseBlock), t)
	SUBQ(t, field(args, normaliseRowsLeft))
	JZ(LabelRef("end"))
	IMULQ(step, t)
	for _, one := range tensors {
		ADDQ(t, one.block)
	}
	JMP(LabelRef("block"))
	Label("end")
	leave()
}

// normaliseTensor is where a loop is in one of its tensors.
type normaliseTensor struct {
	field     int           // of its address in normaliseArgs
	block, at reg.GPVirtual // the first of the rows that are taken together, and the next
}
