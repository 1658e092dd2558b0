package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bfloat16 rounds float32 to bfloat16: to the nearest, of two to the even one; a NaN stays one.
func (v *vector) bfloat16() {
	constants := func() (one, half, quiet reg.VecVirtual) {
		set := func(value uint32) reg.VecVirtual {
			general, r := GP32(), ZMM()
			MOVL(U32(value), general)
			VPBROADCASTD(general, r)
			return r
		}
		return set(1), set(0x7fff), set(0x40)
	}
	rounded := func(m Mem, one, half, quiet reg.VecVirtual) reg.VecVirtual {
		x, high, result, nan := ZMM(), ZMM(), ZMM(), K()
		VMOVUPS(m, x)
		VPSRLD(Imm(16), x, high)
		VPANDD(one, high, result)
		VPADDD(half, result, result)
		VPADDD(x, result, result)
		VPSRLD(Imm(16), result, result)
		VCMPPS(Imm(3), x, x, nan) // unordered
		VPORD(quiet, high, nan, result)
		return result
	}

	v.text("bfloat16", "func(dst *uint16, src *float32, n, count, dstStep, srcStep int)",
		"rounds count rows of n elements, whole vectors; steps are in bytes.")
	dst, src := v.pointer("dst"), v.pointer("src")
	n, count := v.pointer("n"), v.pointer("count")
	dstStep, srcStep := v.pointer("dstStep"), v.pointer("srcStep")
	one, half, quiet := constants()
	Label("row")
	i := GP64()
	XORQ(i, i)
	Label("vector")
	VPMOVDW(rounded(Mem{Base: src, Index: i, Scale: 4}, one, half, quiet),
		Mem{Base: dst, Index: i, Scale: 2})
	ADDQ(Imm(16), i)
	CMPQ(i, n)
	JLT(LabelRef("vector"))
	ADDQ(dstStep, dst)
	ADDQ(srcStep, src)
	DECQ(count)
	JNZ(LabelRef("row"))
	RET()

	v.text("bfloat16Pairs", "func(dst *uint32, a, b *float32, n, count, dstStep, aStep, bStep int)",
		"pairs rows of n elements, whole vectors, of a and b; steps are in bytes.")
	dst, a, b := v.pointer("dst"), v.pointer("a"), v.pointer("b")
	n, count = v.pointer("n"), v.pointer("count")
	dstStep, aStep, bStep := v.pointer("dstStep"), v.pointer("aStep"), v.pointer("bStep")
	one, half, quiet = constants()
	Label("row")
	i = GP64()
	XORQ(i, i)
	Label("pair")
	low := rounded(Mem{Base: a, Index: i, Scale: 4}, one, half, quiet)
	high := rounded(Mem{Base: b, Index: i, Scale: 4}, one, half, quiet)
	VPSLLD(Imm(16), high, high)
	VPORD(high, low, low)
	VMOVUPS(low, Mem{Base: dst, Index: i, Scale: 4})
	ADDQ(Imm(16), i)
	CMPQ(i, n)
	JLT(LabelRef("pair"))
	ADDQ(dstStep, dst)
	ADDQ(aStep, a)
	ADDQ(bStep, b)
	DECQ(count)
	JNZ(LabelRef("row"))
	RET()

	v.text("bfloat16Neighbours",
		"func(even, odd *uint32, src *float32, count, groups, srcStep, groupStep int)",
		"pairs rows with the next ones; see Set.neighbours. Steps are in bytes.")
	even, odd, from := v.pointer("even"), v.pointer("odd"), v.pointer("src")
	count, groups := v.pointer("count"), v.pointer("groups")
	srcStep, groupStep := v.pointer("srcStep"), v.pointer("groupStep")
	one, half, quiet = constants()
	e, o, s, left := GP64(), GP64(), GP64(), GP64()
	before, pair := ZMM(), ZMM()
	store := func(low, high reg.VecVirtual, to reg.GPVirtual) {
		VPSLLD(Imm(16), high, pair)
		VPORD(low, pair, pair)
		VMOVUPS(pair, Mem{Base: to})
		ADDQ(Imm(64), to)
	}
	Label("group")
	MOVQ(even, e)
	MOVQ(odd, o)
	MOVQ(from, s)
	MOVQ(count, left)
	v.zero(before)
	Label("both")
	CMPQ(left, Imm(2))
	JLT(LabelRef("rest"))
	first := rounded(Mem{Base: s}, one, half, quiet)
	second := rounded(Mem{Base: s, Index: srcStep, Scale: 1}, one, half, quiet)
	store(first, second, e)
	TESTQ(odd, odd)
	JZ(LabelRef("alone"))
	store(before, first, o)
	VMOVAPS(second, before)
	Label("alone")
	LEAQ(Mem{Base: s, Index: srcStep, Scale: 2}, s)
	SUBQ(Imm(2), left)
	JMP(LabelRef("both"))
	Label("rest")
	v.zero(first)
	TESTQ(left, left)
	JZ(LabelRef("end"))
	VMOVAPS(rounded(Mem{Base: s}, one, half, quiet), first)
	VMOVUPS(first, Mem{Base: e})
	Label("end")
	TESTQ(odd, odd)
	JZ(LabelRef("next"))
	store(before, first, o)
	ADDQ(groupStep, odd)
	Label("next")
	ADDQ(groupStep, even)
	ADDQ(U32(64), from)
	DECQ(groups)
	JNZ(LabelRef("group"))
	RET()
}
