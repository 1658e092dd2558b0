package main

import (
	"math/bits"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// list lists the elements of a row that are not zero, as pairs of the value and its index times a
// step, without a branch that depends on them: pairs are stored at the list's end, which moves on
// only past those that are kept.
func (v *vector) list() {
	lanes := v.bytes / 4
	index := GLOBL("listIndex"+v.suffix, attr.RODATA|attr.NOPTR)
	for i := range lanes {
		DATA(4*i, U32(i))
	}
	v.text("list", "func(items *byte, x *float32, n int, step int32) int",
		"lists the elements of x that are not zero, each with step times its index, and returns how many; n is a positive multiple of a vector.")
	begin, x, n := v.pointer("items"), v.pointer("x"), v.pointer("n")
	places, advance, zero := v.broadcast("step"), v.register(), v.register()
	VPSLLD(Imm(uint64(bits.TrailingZeros(uint(lanes)))), places, advance)
	VPMULLD(index, places, places)
	v.zero(zero)
	end := GP64()
	MOVQ(begin, end)
	Label("vector")
	value := v.register()
	VMOVUPS(Mem{Base: x}, value)
	if v.wide {
		v.appendCompressed(value, places, zero, end)
	} else {
		appendPairs(value, places, zero, end)
	}
	VPADDD(advance, places, places)
	ADDQ(Imm(uint64(v.bytes)), x)
	SUBQ(Imm(uint64(lanes)), n)
	JNZ(LabelRef("vector"))
	SUBQ(begin, end)
	SHRQ(Imm(3), end)
	Store(end, ReturnIndex(0))
	leave()
}

// appendCompressed moves what is kept together before it makes pairs of it.
func (v *vector) appendCompressed(value, places, zero reg.VecVirtual, end reg.GPVirtual) {
	kept, count := K(), GP32()
	VCMPPS(Imm(notEqual), zero, value, kept)
	values, where := ZMM(), ZMM()
	VCOMPRESSPS_Z(value, kept, values)
	VPCOMPRESSD_Z(places, kept, where)
	for half := range 2 {
		low, high := values.AsY(), where.AsY()
		if half == 1 {
			low, high = YMM(), YMM()
			VEXTRACTF64X4(Imm(1), values, low)
			VEXTRACTF64X4(Imm(1), where, high)
		}
		pairs, upper := ZMM(), ZMM()
		VPMOVZXDQ(low, pairs)
		VPMOVZXDQ(high, upper)
		VPSLLQ(Imm(32), upper, upper)
		VPORQ(upper, pairs, pairs)
		VMOVUPS(pairs, Mem{Base: end, Disp: half * 64})
	}
	KMOVW(kept, count)
	POPCNTL(count, count)
	LEAQ(Mem{Base: end, Index: count.As64(), Scale: 8}, end)
}

// appendPairs stores one pair after the other.
func appendPairs(value, places, zero reg.VecVirtual, end reg.GPVirtual) {
	kept, mask := YMM(), GP32()
	VCMPPS(Imm(notEqual), zero, value, kept)
	VMOVMSKPS(kept, mask)
	low, high := YMM(), YMM()
	VUNPCKLPS(places, value, low)
	VUNPCKHPS(places, value, high)
	for half := range 2 {
		for i, pairs := range []reg.VecVirtual{low, high} {
			x := pairs.AsX()
			if half == 1 {
				upper := XMM()
				VEXTRACTF128(Imm(1), pairs, upper)
				x = upper
			}
			for j := range 2 {
				if j == 0 {
					VMOVLPS(x, Mem{Base: end})
				} else {
					VMOVHPS(x, Mem{Base: end})
				}
				bit := GP64()
				MOVL(mask, bit.As32())
				SHRL(Imm(uint64(4*half+2*i+j)), bit.As32())
				ANDL(Imm(1), bit.As32())
				LEAQ(Mem{Base: end, Index: bit, Scale: 8}, end)
			}
		}
	}
}
