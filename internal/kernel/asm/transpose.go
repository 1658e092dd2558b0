package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose turns 8 rows of 8·blocks columns into 8·blocks rows of 8 columns, 8×8 elements at a
// time in registers: pairs are interleaved, then pairs of pairs, then halves of registers
// exchanged.
func transpose() {
	TEXT("transpose8AVX2", attr.NOSPLIT,
		"func(dst *float32, dstStep int, src *float32, srcStep int, blocks int)")
	Doc("transpose8AVX2 writes the transpose of 8 rows of 8·blocks elements; steps are in bytes.")
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	dstStep, srcStep := Load(Param("dstStep"), GP64()), Load(Param("srcStep"), GP64())
	blocks := Load(Param("blocks"), GP64())
	src3, dst3 := GP64(), GP64()
	LEAQ(Mem{Base: srcStep, Index: srcStep, Scale: 2}, src3)
	LEAQ(Mem{Base: dstStep, Index: dstStep, Scale: 2}, dst3)
	row := func(base, step, step3 reg.Register, r int) Mem {
		m := Mem{Base: base}
		switch r {
		case 1, 2:
			m.Index, m.Scale = step, uint8(r)
		case 3:
			m.Index, m.Scale = step3, 1
		}
		return m
	}
	Label("block")
	in := make([]reg.VecVirtual, 8)
	low, high := GP64(), GP64()
	MOVQ(src, low)
	LEAQ(Mem{Base: src, Index: srcStep, Scale: 4}, high)
	for r := range in {
		in[r] = YMM()
		base := low
		if r >= 4 {
			base = high
		}
		VMOVUPS(row(base, srcStep, src3, r%4), in[r])
	}
	pair := make([]reg.VecVirtual, 8)
	for i := 0; i < 8; i += 2 {
		pair[i], pair[i+1] = YMM(), YMM()
		VUNPCKLPS(in[i+1], in[i], pair[i])
		VUNPCKHPS(in[i+1], in[i], pair[i+1])
	}
	quad := make([]reg.VecVirtual, 8)
	for i := range quad {
		quad[i] = YMM()
	}
	for half := 0; half < 8; half += 4 {
		VUNPCKLPD(pair[half+2], pair[half], quad[half])
		VUNPCKHPD(pair[half+2], pair[half], quad[half+1])
		VUNPCKLPD(pair[half+3], pair[half+1], quad[half+2])
		VUNPCKHPD(pair[half+3], pair[half+1], quad[half+3])
	}
	lowDst, highDst := GP64(), GP64()
	MOVQ(dst, lowDst)
	LEAQ(Mem{Base: dst, Index: dstStep, Scale: 4}, highDst)
	for i := range 4 {
		out := YMM()
		VPERM2F128(Imm(0x20), quad[i+4], quad[i], out)
		VMOVUPS(out, row(lowDst, dstStep, dst3, i))
	}
	for i := range 4 {
		out := YMM()
		VPERM2F128(Imm(0x31), quad[i+4], quad[i], out)
		VMOVUPS(out, row(highDst, dstStep, dst3, i))
	}
	ADDQ(Imm(32), src)
	LEAQ(Mem{Base: dst, Index: dstStep, Scale: 8}, dst)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	leave()
}
