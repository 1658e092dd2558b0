package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of sparseArgs' fields; a test in package kernel compares them.
const (
	sparseDst     = 0
	sparseSrc     = 8
	sparseBuckets = 16
	sparseCount   = 24
	sparseItems   = 32
	sparseDstRow  = 40
	sparseSrcRow  = 48
	sparseMask    = 56
	sparseShifts  = 64
	sparsePieces  = 72
)

// sparse adds scaled blocks of rows×columns vectors: for each bucket, dst[bucket] += Σ
// value·src[offset] over its items, with the destination in registers.
func (v *vector) sparse(rows, columns int) {
	v.text(fmt.Sprintf("sparse%dx%d", rows, columns), "func(args *byte)",
		fmt.Sprintf("adds scaled blocks of %d rows by %d vectors; see sparseArgs.", rows, columns))
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	acc := make([][]reg.VecVirtual, rows)
	for r := range acc {
		acc[r] = v.registers(columns)
	}
	sums := slices.Concat(acc...)
	second := v.secondSums(sums)
	sets := [][]reg.VecVirtual{sums, second}
	bucket, buckets, shift, pieces := GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, sparseBuckets), bucket)
	MOVQ(field(args, sparseCount), buckets)
	TESTQ(buckets, buckets)
	JZ(LabelRef("end"))
	var stride, stride3 reg.GPVirtual
	if rows > 1 {
		stride = GP64()
		MOVQ(field(args, sparseSrcRow), stride)
	}
	if rows > 3 {
		stride3 = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	}
	// at addresses vector j of row r of a block at base.
	at := func(base, stride, stride3 reg.GPVirtual, r, j int) Mem {
		m := Mem{Base: base, Disp: j * v.bytes}
		switch r {
		case 1, 2, 4:
			m.Index, m.Scale = stride, uint8(r)
		case 3:
			m.Index, m.Scale = stride3, 1
		}
		return m
	}
	destination := func(f func(m Mem, r, j int)) {
		dst := GP64()
		MOVLQSX(Mem{Base: bucket}, dst)
		ADDQ(field(args, sparseDst), dst)
		ADDQ(Mem{Base: shift}, dst)
		var step reg.GPVirtual
		if rows > 1 {
			step = GP64()
			MOVQ(field(args, sparseDstRow), step)
		}
		for r := range rows {
			for j := range columns {
				f(Mem{Base: dst, Disp: j * v.bytes}, r, j)
			}
			if r+1 < rows {
				ADDQ(step, dst)
			}
		}
	}
	partial := func(label string) {
		k := GP64()
		MOVQ(field(args, sparseMask), k)
		TESTQ(k, k)
		JNZ(LabelRef(label))
	}
	lastLanes := func() mask {
		k := GP64()
		MOVQ(field(args, sparseMask), k)
		return v.loadMask(Mem{Base: k})
	}

	Label("bucket")
	MOVQ(field(args, sparseShifts), shift)
	MOVQ(field(args, sparsePieces), pieces)
	Label("piece")
	partial("partialLoad")
	destination(func(m Mem, r, j int) { VMOVUPS(m, acc[r][j]) })
	JMP(LabelRef("start"))
	Label("partialLoad")
	lanes := lastLanes()
	destination(func(m Mem, r, j int) {
		if j == columns-1 {
			v.loadMasked(m, lanes, acc[r][j])
		} else {
			VMOVUPS(m, acc[r][j])
		}
	})
	Label("start")
	count, item, source := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: shift, Disp: 8}, source)
	ADDQ(field(args, sparseSrc), source)
	MOVLQSX(Mem{Base: bucket, Disp: 4}, count)
	MOVLQSX(Mem{Base: bucket, Disp: 8}, item)
	ADDQ(field(args, sparseItems), item)
	// add is one item's products, k items on.
	add := func(k int) {
		src, value := GP64(), v.register()
		MOVLQSX(Mem{Base: item, Disp: 8*k + 4}, src)
		VBROADCASTSS(Mem{Base: item, Disp: 8 * k}, value)
		ADDQ(source, src)
		for r := range rows {
			for j := range columns {
				VFMADD231PS(at(src, stride, stride3, r, j), value, sets[k%2][r*columns+j])
			}
		}
	}
	v.overItems(item, count, sums, second, add)
	Label("store")
	partial("partialStore")
	destination(func(m Mem, r, j int) { VMOVUPS(acc[r][j], m) })
	JMP(LabelRef("next"))
	Label("partialStore")
	lanes = lastLanes()
	destination(func(m Mem, r, j int) {
		if j == columns-1 {
			v.storeMasked(acc[r][j], lanes, m)
		} else {
			VMOVUPS(acc[r][j], m)
		}
	})
	Label("next")
	ADDQ(Imm(16), shift)
	DECQ(pieces)
	JNZ(LabelRef("piece"))
	ADDQ(Imm(16), bucket)
	DECQ(buckets)
	JNZ(LabelRef("bucket"))
	Label("end")
	leave()
}

// secondSums returns a second set of sums for every other item where there are few: one set alone
// would wait for its own results. Where there are many it returns the sums.
func (v *vector) secondSums(sums []reg.VecVirtual) []reg.VecVirtual {
	if len(sums) > 6 {
		return sums
	}
	return v.registers(len(sums))
}

// overItems emits add for each of count items, four in a row, the k-th from item on, and goes on to
// the label store. Odd ones of four go to the second sums, which are added to the sums at the end.
func (v *vector) overItems(item, count reg.GPVirtual, sums, second []reg.VecVirtual,
	add func(k int)) {
	double := second[0] != sums[0]
	SUBQ(Imm(4), count)
	JLT(LabelRef("rest"))
	if double {
		for _, sum := range second {
			v.zero(sum)
		}
	}
	Label("items")
	for k := range 4 {
		add(k)
	}
	ADDQ(Imm(32), item)
	SUBQ(Imm(4), count)
	JGE(LabelRef("items"))
	if double {
		for i, sum := range sums {
			VADDPS(second[i], sum, sum)
		}
	}
	Label("rest")
	ADDQ(Imm(4), count)
	JZ(LabelRef("store"))
	Label("item")
	add(0)
	ADDQ(Imm(8), item)
	DECQ(count)
	JNZ(LabelRef("item"))
}
