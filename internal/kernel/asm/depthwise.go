package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of depthwiseArgs' fields; a test in package kernel compares them.
const (
	depthwiseX         = 0
	depthwiseXStep     = 8
	depthwiseW         = 16
	depthwiseTaps      = 24
	depthwiseCount     = 32
	depthwiseY         = 40
	depthwiseYStep     = 48
	depthwisePositions = 56
	depthwiseVectors   = 64
	depthwiseBias      = 72
	depthwiseLow       = 80
	depthwiseHigh      = 84
	depthwiseGate      = 88
	depthwiseFetch     = 96
	depthwiseFetchEnd  = 104
	depthwiseFetchEach = 112
)

// Offsets of depthwiseGradientArgs' fields; a test in package kernel compares them.
const (
	depthwiseGradientX         = 0
	depthwiseGradientXStep     = 8
	depthwiseGradientXRow      = 16
	depthwiseGradientTapStep   = 24
	depthwiseGradientTaps      = 32
	depthwiseGradientDy        = 40
	depthwiseGradientDyStep    = 48
	depthwiseGradientDyRow     = 56
	depthwiseGradientRows      = 64
	depthwiseGradientPositions = 72
	depthwiseGradientVectors   = 80
	depthwiseGradientDw        = 88
	depthwiseGradientDwStep    = 96
	depthwiseGradientXRowAt    = 104
	depthwiseGradientDyRowAt   = 112
	depthwiseGradientRowsLeft  = 120
	depthwiseGradientFetch     = 128
	depthwiseGradientFetchEnd  = 136
)

// multiples are what addresses of up to eight places, equal steps apart, are made of.
type multiples struct{ one, three, five, seven reg.Register }

// multiplesOf leaves the step in one; those that fewer places do not need are not made.
func multiplesOf(step reg.Register, places int) multiples {
	m := multiples{one: step}
	if places > 3 {
		m.three = GP64()
		LEAQ(Mem{Base: step, Index: step, Scale: 2}, m.three)
	}
	if places > 5 {
		m.five = GP64()
		LEAQ(Mem{Base: step, Index: step, Scale: 4}, m.five)
	}
	if places > 7 {
		m.seven = GP64()
		LEAQ(Mem{Base: m.three, Index: step, Scale: 4}, m.seven)
	}
	return m
}

// place is that many steps behind the base.
func (m multiples) place(base reg.Register, steps int) Mem {
	switch steps {
	case 0:
		return Mem{Base: base}
	case 1, 2, 4:
		return Mem{Base: base, Index: m.one, Scale: uint8(steps)}
	case 3:
		return Mem{Base: base, Index: m.three, Scale: 1}
	case 5:
		return Mem{Base: base, Index: m.five, Scale: 1}
	case 6:
		return Mem{Base: base, Index: m.three, Scale: 2}
	}
	return Mem{Base: base, Index: m.seven, Scale: 1}
}

// depthwise computes a row of positions, each channel by itself: eight positions at a time, each
// tap's weights being loaded once for them, and then those that are left in one go, as the sums of
// few wait for one another.
func (v *vector) depthwise() {
	v.text("depthwise", "func(args *byte)",
		"computes a row of a depthwise convolution; see depthwiseArgs.")
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	lane, xStep, yStep := GP64(), GP64(), GP64()
	XORQ(lane, lane)
	MOVQ(field(args, depthwiseXStep), xStep)
	MOVQ(field(args, depthwiseYStep), yStep)
	steps := multiplesOf(xStep, 8)
	Label("vector")
	x, y, left := GP64(), GP64(), GP64()
	MOVQ(field(args, depthwiseX), x)
	ADDQ(lane, x)
	MOVQ(field(args, depthwiseY), y)
	ADDQ(lane, y)
	MOVQ(field(args, depthwisePositions), left)
	for _, positions := range []int{8, 7, 6, 5, 4, 3, 2, 1} {
		block, next := fmt.Sprintf("block%d", positions), fmt.Sprintf("next%d", positions)
		Label(block)
		CMPQ(left, Imm(uint64(positions)))
		JLT(LabelRef(next))
		v.depthwiseFetch(args, positions)
		sums, t := v.registers(positions), GP64()
		MOVQ(field(args, depthwiseBias), t)
		for _, sum := range sums {
			VMOVUPS(at(t, lane), sum)
		}
		taps, count := GP64(), GP64()
		MOVQ(field(args, depthwiseTaps), taps)
		MOVQ(field(args, depthwiseCount), count)
		TESTQ(count, count)
		tap, done := fmt.Sprintf("tap%d", positions), fmt.Sprintf("done%d", positions)
		JZ(LabelRef(done))
		Label(tap)
		w, at := v.register(), GP64()
		MOVQ(field(args, depthwiseW), t)
		ADDQ(Mem{Base: taps, Disp: 8}, t)
		VMOVUPS(Mem{Base: t, Index: lane, Scale: 1}, w)
		MOVQ(Mem{Base: taps}, at)
		ADDQ(x, at)
		for i, sum := range sums {
			VFMADD231PS(steps.place(at, i), w, sum)
		}
		ADDQ(Imm(16), taps)
		DECQ(count)
		JNZ(LabelRef(tap))
		Label(done)
		bound, gate, plain := v.register(), GP64(), fmt.Sprintf("plain%d", positions)
		VBROADCASTSS(field(args, depthwiseLow), bound)
		for _, sum := range sums {
			VMAXPS(sum, bound, sum)
		}
		VBROADCASTSS(field(args, depthwiseHigh), bound)
		for _, sum := range sums {
			VMINPS(sum, bound, sum)
		}
		MOVQ(field(args, depthwiseGate), gate)
		TESTQ(gate, gate)
		JZ(LabelRef(plain))
		for _, sum := range sums {
			v.gate(gate, sum)
		}
		Label(plain)
		for _, sum := range sums {
			PREFETCHT0(Mem{Base: y, Disp: v.bytes}) // which the next vector's sums go to
			VMOVUPS(sum, Mem{Base: y})
			ADDQ(yStep, y)
		}
		if positions == 8 {
			LEAQ(Mem{Base: x, Index: xStep, Scale: 8}, x)
			SUBQ(Imm(8), left)
			JMP(LabelRef(block))
		} else if positions > 1 {
			JMP(LabelRef("rest"))
		}
		Label(next)
	}
	Label("rest")
	ADDQ(U32(v.bytes), lane)
	DECQ(field(args, depthwiseVectors))
	JNZ(LabelRef("vector"))
	leave()
}

// depthwiseFetch fetches some lines for each of that many positions, until all are.
func (v *vector) depthwiseFetch(args reg.GPVirtual, positions int) {
	fetched, line := fmt.Sprintf("fetched%d", positions), fmt.Sprintf("fetch%d", positions)
	fetch, each := GP64(), GP64()
	MOVQ(field(args, depthwiseFetch), fetch)
	CMPQ(fetch, field(args, depthwiseFetchEnd))
	JCC(LabelRef(fetched))
	MOVQ(field(args, depthwiseFetchEach), each)
	Label(line)
	for i := range positions {
		PREFETCHT1(Mem{Base: fetch, Disp: i * cacheLine})
	}
	ADDQ(U32(positions*cacheLine), fetch)
	DECQ(each)
	JNZ(LabelRef(line))
	MOVQ(fetch, field(args, depthwiseFetch))
	Label(fetched)
}

// depthwiseGradient adds, for up to eight taps of a kernel row, the products of dy with what the
// tap saw.
func (v *vector) depthwiseGradient() {
	v.text("depthwiseGradient", "func(args *byte)",
		"adds to the gradient of a kernel row of a depthwise convolution; see depthwiseGradientArgs.")
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	lane, tapStep, xStep, dyStep := GP64(), GP64(), GP64(), GP64()
	XORQ(lane, lane)
	MOVQ(field(args, depthwiseGradientTapStep), tapStep)
	MOVQ(field(args, depthwiseGradientXStep), xStep)
	MOVQ(field(args, depthwiseGradientDyStep), dyStep)
	steps := multiplesOf(tapStep, 8)
	t := GP64()
	for taps := 1; taps < 8; taps++ {
		MOVQ(field(args, depthwiseGradientTaps), t)
		CMPQ(t, Imm(uint64(taps)))
		JEQ(LabelRef(fmt.Sprintf("taps%d", taps)))
	}
	for taps := 8; taps >= 1; taps-- {
		name := func(label string) string { return fmt.Sprintf("%s%d", label, taps) }
		Label(name("taps"))
		for _, move := range [][2]int{
			{depthwiseGradientX, depthwiseGradientXRowAt}, {depthwiseGradientDy, depthwiseGradientDyRowAt},
			{depthwiseGradientRows, depthwiseGradientRowsLeft},
		} {
			MOVQ(field(args, move[0]), t)
			MOVQ(t, field(args, move[1]))
		}
		sums, dw := v.registers(taps), GP64()
		MOVQ(field(args, depthwiseGradientDw), dw)
		ADDQ(lane, dw)
		for _, sum := range sums {
			VMOVUPS(Mem{Base: dw}, sum)
			ADDQ(field(args, depthwiseGradientDwStep), dw)
		}
		Label(name("row"))
		x, dy, left, fetch := GP64(), GP64(), GP64(), GP64()
		MOVQ(field(args, depthwiseGradientXRowAt), x)
		ADDQ(lane, x)
		MOVQ(field(args, depthwiseGradientDyRowAt), dy)
		ADDQ(lane, dy)
		// A line is fetched with each position, or one that is read anyway once all are.
		MOVQ(field(args, depthwiseGradientFetch), fetch)
		XORQ(t, t)
		CMPQ(fetch, field(args, depthwiseGradientFetchEnd))
		CMOVQCC(dy, fetch)
		CMOVQCS(field(args, depthwiseGradientPositions), t)
		SHLQ(Imm(6), t)
		ADDQ(t, field(args, depthwiseGradientFetch))
		MOVQ(field(args, depthwiseGradientPositions), left)
		Label(name("position"))
		g := v.register()
		VMOVUPS(Mem{Base: dy}, g)
		PREFETCHT1(Mem{Base: fetch})
		ADDQ(Imm(cacheLine), fetch)
		for i, sum := range sums {
			VFMADD231PS(steps.place(x, i), g, sum)
		}
		ADDQ(xStep, x)
		ADDQ(dyStep, dy)
		DECQ(left)
		JNZ(LabelRef(name("position")))
		for _, move := range [][2]int{
			{depthwiseGradientXRow, depthwiseGradientXRowAt},
			{depthwiseGradientDyRow, depthwiseGradientDyRowAt},
		} {
			MOVQ(field(args, move[0]), t)
			ADDQ(t, field(args, move[1]))
		}
		DECQ(field(args, depthwiseGradientRowsLeft))
		JNZ(LabelRef(name("row")))
		MOVQ(field(args, depthwiseGradientDw), dw)
		ADDQ(lane, dw)
		for _, sum := range sums {
			VMOVUPS(sum, Mem{Base: dw})
			ADDQ(field(args, depthwiseGradientDwStep), dw)
		}
		ADDQ(U32(v.bytes), lane)
		DECQ(field(args, depthwiseGradientVectors))
		JNZ(LabelRef(name("taps")))
		leave()
	}
}
