package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of gatherArgs' fields; a test in package kernel compares them.
const (
	gatherGradient     = 0
	gatherGradientStep = 8
	gatherIndex        = 16
	gatherIndexStep    = 24
	gatherPositions    = 32
	gatherPositionStep = 40
	gatherWindows      = 48
	gatherBase         = 56
	gatherItems        = 64
	gatherCursors      = 72
	gatherSums         = 80
	gatherLeft         = 88
)

// gather appends the non-zero gradients of eight channels to eight lists, without a branch that
// depends on them: each entry is stored at its list's end, which moves on only where there was a
// gradient.
func gather() {
	TEXT("gather8AVX2", attr.NOSPLIT, "func(args *byte)")
	Doc("gather8AVX2 lists the non-zero gradients of eight channels; see gatherArgs.")
	Pragma("noescape")
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	gradient, index, positions, items := GP64(), GP64(), GP64(), GP64()
	t := GP64()
	MOVQ(field(args, gatherCursors), t)
	cursors := make([]reg.GPVirtual, 8)
	for i := range cursors {
		cursors[i] = GP64()
		MOVQ(Mem{Base: t, Disp: 8 * i}, cursors[i])
	}
	MOVQ(field(args, gatherWindows), t)
	MOVQ(t, field(args, gatherLeft))
	base, none, sums, zero := YMM(), YMM(), YMM(), YMM()
	VPBROADCASTD(field(args, gatherBase), base)
	VPCMPEQD(none, none, none)
	VPSRLD(Imm(16), none, none)
	VXORPS(zero, zero, zero)
	MOVQ(field(args, gatherSums), t)
	VMOVUPS(Mem{Base: t}, sums)
	MOVQ(field(args, gatherGradient), gradient)
	MOVQ(field(args, gatherIndex), index)
	MOVQ(field(args, gatherPositions), positions)
	MOVQ(field(args, gatherItems), items)
	Label("window")
	where, value, cut := YMM(), YMM(), YMM()
	VPMOVZXWD(Mem{Base: index}, where)
	VPCMPEQD(none, where, cut)
	VANDNPS(Mem{Base: gradient}, cut, value)
	VPERMD(Mem{Base: positions}, where, where)
	VPADDD(base, where, where)
	VADDPS(value, sums, sums)
	VCMPPS(Imm(notEqual), zero, value, cut)
	bits := GP32()
	VMOVMSKPS(cut, bits)
	pairs := []reg.VecVirtual{YMM(), YMM()}
	VUNPCKLPS(where, value, pairs[0])
	VUNPCKHPS(where, value, pairs[1])
	for half := range 2 {
		for i, p := range pairs {
			x := p.AsX()
			if half == 1 {
				high := XMM()
				VEXTRACTF128(Imm(1), p, high)
				x = high
			}
			k := 4*half + 2*i
			VMOVLPS(x, Mem{Base: items, Index: cursors[k], Scale: 8})
			VMOVHPS(x, Mem{Base: items, Index: cursors[k+1], Scale: 8})
		}
	}
	for k, c := range cursors {
		BTL(Imm(uint64(k)), bits)
		ADCQ(Imm(0), c)
	}
	ADDQ(field(args, gatherGradientStep), gradient)
	ADDQ(field(args, gatherIndexStep), index)
	ADDQ(field(args, gatherPositionStep), positions)
	DECQ(field(args, gatherLeft))
	JNZ(LabelRef("window"))
	out := GP64()
	MOVQ(field(args, gatherCursors), out)
	for i := range cursors {
		MOVQ(cursors[i], Mem{Base: out, Disp: 8 * i})
	}
	MOVQ(field(args, gatherSums), out)
	VMOVUPS(sums, Mem{Base: out})
	leave()
}
