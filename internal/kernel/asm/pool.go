package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of poolArgs' fields; a test in package kernel compares them.
const (
	poolSrc       = 0
	poolEntries   = 8
	poolY         = 16
	poolYStep     = 24
	poolIndex     = 32
	poolIndexStep = 40
	poolWindows   = 48
	poolElements  = 56
	poolVectors   = 64
	poolFloor     = 72
)

// Offsets of averageArgs' fields; a test in package kernel compares them.
const (
	averageX        = 0
	averageEntries  = 8
	averageY        = 16
	averageYStep    = 24
	averageWindows  = 32
	averageElements = 40
	averageVectors  = 48
	averageMask     = 56
	averageDivisor  = 64
)

// Predicates of VCMPPS.
const (
	lessOrEqual    = 0x12 // LE_OQ: false for NaN
	unordered      = 0x03 // UNORD_Q
	greaterThan    = 0x1e // GT_OQ: false for NaN
	notLessOrEqual = 0x16 // NLE_UQ: true for NaN
)

// poolMax takes the maximum of each window and the position it came from, for vectors of channels.
func (v *vector) poolMax() {
	v.text("poolMax", "func(args *byte)",
		"computes maxima over windows and where they are; see poolArgs.")
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	windows, entries, y, index := GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, poolWindows), windows)
	MOVQ(field(args, poolEntries), entries)
	MOVQ(field(args, poolY), y)
	MOVQ(field(args, poolIndex), index)
	floor := v.register()
	VBROADCASTSS(field(args, poolFloor), floor)
	none := v.register()
	{
		t := GP32()
		MOVL(U32(0xffff), t)
		x := XMM()
		VMOVD(t, x)
		VPBROADCASTD(x, none)
	}
	Label("window")
	lane, vectors := GP64(), GP64()
	XORQ(lane, lane)
	MOVQ(field(args, poolVectors), vectors)
	Label("vector")
	entry, left, src, at := GP64(), GP64(), GP64(), GP64()
	MOVQ(entries, entry)
	MOVQ(field(args, poolElements), left)
	MOVQ(field(args, poolSrc), src)
	ADDQ(lane, src)
	top, where := v.register(), v.register()
	MOVLQSX(Mem{Base: entry}, at)
	VMOVUPS(Mem{Base: src, Index: at, Scale: 1}, top)
	VPBROADCASTD(Mem{Base: entry, Disp: 4}, where)
	JMP(LabelRef("next"))
	Label("element")
	MOVLQSX(Mem{Base: entry}, at)
	val, pos := v.register(), v.register()
	VMOVUPS(Mem{Base: src, Index: at, Scale: 1}, val)
	if v.wide {
		k1, k2 := K(), K()
		VCMPPS(Imm(greaterThan), top, val, k1)
		VCMPPS(Imm(unordered), val, val, k2)
		KORW(k1, k2, k1)
		VMOVAPS(val, k1, top)
		VPBROADCASTD(Mem{Base: entry, Disp: 4}, k1, where)
	} else {
		c1, c2 := YMM(), YMM()
		VPBROADCASTD(Mem{Base: entry, Disp: 4}, pos)
		VCMPPS(Imm(greaterThan), top, val, c1)
		VCMPPS(Imm(unordered), val, val, c2)
		VORPS(c1, c2, c1)
		VBLENDVPS(c1, val, top, top)
		VBLENDVPS(c1, pos, where, where)
	}
	Label("next")
	ADDQ(Imm(8), entry)
	DECQ(left)
	JNZ(LabelRef("element"))

	if v.wide {
		k := K()
		VCMPPS(Imm(lessOrEqual), floor, top, k)
		VMOVDQA32(none, k, where)
		VMAXPS(top, floor, top)
		VMOVUPS(top, Mem{Base: y, Index: lane, Scale: 1})
		packed := YMM()
		VPMOVDW(where, packed)
		half := GP64()
		MOVQ(lane, half)
		SHRQ(Imm(1), half)
		VMOVDQU(packed, Mem{Base: index, Index: half, Scale: 1})
	} else {
		cut := YMM()
		VCMPPS(Imm(lessOrEqual), floor, top, cut)
		VANDPS(none, cut, cut)
		VORPS(cut, where, where)
		VMAXPS(top, floor, top)
		VMOVUPS(top, Mem{Base: y, Index: lane, Scale: 1})
		high := XMM()
		VEXTRACTI128(Imm(1), where, high)
		VPACKUSDW(high, where.AsX(), high)
		half := GP64()
		MOVQ(lane, half)
		SHRQ(Imm(1), half)
		VMOVDQU(high, Mem{Base: index, Index: half, Scale: 1})
	}
	ADDQ(Imm(uint64(v.bytes)), lane)
	DECQ(vectors)
	JNZ(LabelRef("vector"))
	ADDQ(field(args, poolYStep), y)
	ADDQ(field(args, poolIndexStep), index)
	at = GP64()
	MOVQ(field(args, poolElements), at)
	LEAQ(Mem{Base: entries, Index: at, Scale: 8}, entries)
	DECQ(windows)
	JNZ(LabelRef("window"))
	leave()
}

// poolMaxima takes the maximum of each window alone, for four vectors of channels at a time while
// there are as many: their maxima do not wait for each other.
func (v *vector) poolMaxima() {
	v.text("poolMaxima", "func(args *byte)", "computes maxima over windows; see poolArgs.")
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	windows, entries, y, elements := GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, poolWindows), windows)
	MOVQ(field(args, poolEntries), entries)
	MOVQ(field(args, poolY), y)
	MOVQ(field(args, poolElements), elements)
	Label("window")
	lane, vectors := GP64(), GP64()
	XORQ(lane, lane)
	MOVQ(field(args, poolVectors), vectors)
	for _, together := range []int{4, 1} {
		name := func(label string) string { return fmt.Sprintf("%s%d", label, together) }
		Label(name("vectors"))
		CMPQ(vectors, Imm(uint64(together)))
		JLT(LabelRef(name("done")))
		entry, left, src, at := GP64(), GP64(), GP64(), GP64()
		MOVQ(entries, entry)
		MOVQ(elements, left)
		MOVQ(field(args, poolSrc), src)
		ADDQ(lane, src)
		value := func(i int) Mem { return Mem{Base: src, Index: at, Scale: 1, Disp: i * v.bytes} }
		tops := v.registers(together)
		MOVLQSX(Mem{Base: entry}, at)
		for i, top := range tops {
			VMOVUPS(value(i), top)
		}
		JMP(LabelRef(name("next")))
		Label(name("element"))
		MOVLQSX(Mem{Base: entry}, at)
		for i, top := range tops {
			val := v.register()
			VMOVUPS(value(i), val)
			// Of equals, and where a maximum is none, the first operand stays.
			VMAXPS(top, val, top)
			if v.wide {
				none := K()
				VCMPPS(Imm(unordered), val, val, none)
				VMOVAPS(val, none, top)
			} else {
				none := YMM()
				VCMPPS(Imm(unordered), val, val, none)
				VBLENDVPS(none, val, top, top)
			}
		}
		Label(name("next"))
		ADDQ(Imm(8), entry)
		DECQ(left)
		JNZ(LabelRef(name("element")))
		for i, top := range tops {
			VMOVUPS(top, Mem{Base: y, Index: lane, Scale: 1, Disp: i * v.bytes})
		}
		ADDQ(U32(together*v.bytes), lane)
		SUBQ(Imm(uint64(together)), vectors)
		JMP(LabelRef(name("vectors")))
		Label(name("done"))
	}
	ADDQ(field(args, poolYStep), y)
	LEAQ(Mem{Base: entries, Index: elements, Scale: 8}, entries)
	DECQ(windows)
	JNZ(LabelRef("window"))
	leave()
}

// poolMean takes the mean of each window for vectors of channels, or, where it spreads, adds an
// equal part of each window's gradient to its elements.
func (v *vector) poolMean(name, doc string, spread bool) {
	v.text(name, "func(args *byte)", doc)
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	var l labels
	windows, entries, y, k := GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, averageWindows), windows)
	MOVQ(field(args, averageEntries), entries)
	MOVQ(field(args, averageY), y)
	MOVQ(field(args, averageMask), k)
	lanes := v.loadMask(Mem{Base: k})
	divisor := v.register()
	VBROADCASTSS(field(args, averageDivisor), divisor)
	Label("window")
	lane, vectors := GP64(), GP64()
	XORQ(lane, lane)
	MOVQ(field(args, averageVectors), vectors)
	Label("vector")
	// body is emitted twice: for vectors whose lanes all exist, and for the last one.
	body := func(element string, load func(m Mem, r reg.VecVirtual),
		store func(r reg.VecVirtual, base, index reg.GPVirtual)) {
		entry, left, src, at := GP64(), GP64(), GP64(), GP64()
		MOVQ(entries, entry)
		MOVQ(field(args, averageElements), left)
		MOVQ(field(args, averageX), src)
		ADDQ(lane, src)
		sum := v.register()
		if spread {
			load(Mem{Base: y, Index: lane, Scale: 1}, sum)
			VDIVPS(divisor, sum, sum)
		} else {
			v.zero(sum)
		}
		Label(element)
		MOVLQSX(Mem{Base: entry}, at)
		value := v.register()
		load(Mem{Base: src, Index: at, Scale: 1}, value)
		if spread {
			VADDPS(sum, value, value)
			store(value, src, at)
		} else {
			VADDPS(value, sum, sum)
		}
		ADDQ(Imm(8), entry)
		DECQ(left)
		JNZ(LabelRef(element))
		if !spread {
			VDIVPS(divisor, sum, sum)
			store(sum, y, lane)
		}
	}
	CMPQ(vectors, Imm(1))
	JE(LabelRef("last"))
	body("element", func(m Mem, r reg.VecVirtual) { VMOVUPS(m, r) },
		func(r reg.VecVirtual, base, index reg.GPVirtual) {
			VMOVUPS(r, Mem{Base: base, Index: index, Scale: 1})
		})
	ADDQ(Imm(uint64(v.bytes)), lane)
	DECQ(vectors)
	JMP(LabelRef("vector"))
	Label("last")
	body("lastElement", func(m Mem, r reg.VecVirtual) { v.loadMasked(m, lanes, r) },
		func(r reg.VecVirtual, base, index reg.GPVirtual) {
			p := GP64()
			LEAQ(Mem{Base: base, Index: index, Scale: 1}, p)
			v.storeLeading([]reg.VecVirtual{r}, Mem{Base: k}, []reg.GPVirtual{p}, 0, &l)
		})
	ADDQ(field(args, averageYStep), y)
	MOVQ(field(args, averageElements), vectors)
	LEAQ(Mem{Base: entries, Index: vectors, Scale: 8}, entries)
	DECQ(windows)
	JNZ(LabelRef("window"))
	leave()
}
