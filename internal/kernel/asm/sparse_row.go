package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of sparseRowArgs' fields; a test in package kernel compares them.
const (
	sparseRowC     = 0
	sparseRowCStep = 8
	sparseRowB     = 16
	sparseRowLists = 24
	sparseRowItems = 32
	sparseRowRows  = 40
	sparseRowStart = 48
	sparseRowMask  = 56
	sparseRowFloor = 64
)

// sparseRow computes rows of a product whose left side has few elements that are not zero: C[r] =
// start + Σ value·B[src] over the row's items, with columns vectors of C in registers.
func (v *vector) sparseRow(columns int) {
	v.text(fmt.Sprintf("sparseRow%d", columns), "func(args *byte)",
		fmt.Sprintf(
			"computes rows of %d vectors of a product by the left side's items; see sparseRowArgs.",
			columns))
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	sums := v.registers(columns)
	second := v.secondSums(sums)
	sets := [][]reg.VecVirtual{sums, second}
	c, b, list, rows := GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, sparseRowC), c)
	MOVQ(field(args, sparseRowB), b)
	MOVQ(field(args, sparseRowLists), list)
	MOVQ(field(args, sparseRowRows), rows)
	floor := v.register()
	VBROADCASTSS(field(args, sparseRowFloor), floor)
	var l labels

	Label("row")
	start, k := GP64(), GP64()
	MOVQ(field(args, sparseRowStart), start)
	TESTQ(start, start)
	JNZ(LabelRef("load"))
	MOVQ(c, start)
	MOVQ(field(args, sparseRowMask), k)
	TESTQ(k, k)
	JNZ(LabelRef("partialLoad"))
	Label("load")
	for j := range columns {
		VMOVUPS(Mem{Base: start, Disp: j * v.bytes}, sums[j])
	}
	JMP(LabelRef("begin"))
	Label("partialLoad")
	for j := range columns - 1 {
		VMOVUPS(Mem{Base: c, Disp: j * v.bytes}, sums[j])
	}
	v.loadMasked(Mem{Base: c, Disp: (columns - 1) * v.bytes}, v.loadMask(Mem{Base: k}),
		sums[columns-1])
	Label("begin")
	item, count := GP64(), GP64()
	MOVLQSX(Mem{Base: list}, item)
	ADDQ(field(args, sparseRowItems), item)
	MOVLQSX(Mem{Base: list, Disp: 4}, count)
	add := func(at int) {
		src, value := GP64(), v.register()
		MOVLQSX(Mem{Base: item, Disp: 8*at + 4}, src)
		VBROADCASTSS(Mem{Base: item, Disp: 8 * at}, value)
		for j := range columns {
			VFMADD231PS(Mem{Base: b, Index: src, Scale: 1, Disp: j * v.bytes}, value, sets[at%2][j])
		}
	}
	v.overItems(item, count, sums, second, add)
	Label("store")
	for j := range columns {
		VMAXPS(sums[j], floor, sums[j])
	}
	MOVQ(field(args, sparseRowMask), k)
	TESTQ(k, k)
	JNZ(LabelRef("partialStore"))
	for j := range columns {
		VMOVUPS(sums[j], Mem{Base: c, Disp: j * v.bytes})
	}
	JMP(LabelRef("next"))
	Label("partialStore")
	for j := range columns - 1 {
		VMOVUPS(sums[j], Mem{Base: c, Disp: j * v.bytes})
	}
	v.storeLeading(sums[columns-1:], Mem{Base: k}, []reg.GPVirtual{c}, (columns-1)*v.bytes, &l)
	Label("next")
	ADDQ(field(args, sparseRowCStep), c)
	ADDQ(Imm(8), list)
	DECQ(rows)
	JNZ(LabelRef("row"))
	leave()
}
