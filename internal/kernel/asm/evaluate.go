package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of affineArgs' fields; a test in package kernel compares them.
const (
	affineX       = 0
	affineY       = 8
	affineXStep   = 16
	affineYStep   = 24
	affineRows    = 32
	affineVectors = 40
	affineScale   = 48
	affineShift   = 56
	affineLow     = 64
	affineHigh    = 68
)

// Offsets of rowArgs' fields; a test in package kernel compares them.
const (
	rowX      = 0
	rowDepth  = 8
	rowB      = 16
	rowPanel  = 24
	rowBias   = 32
	rowY      = 40
	rowPanels = 48
	rowFloor  = 56
)

// evaluate is what only the evaluation of a graph needs.
func (v *vector) evaluate() {
	v.text("gateBy", "func(y, x *float32, n int, gate *float32)",
		"computes y = x·clamp(slope·x + offset, low, high), of which a vector each lies at gate; NaN stays.")
	y, x, n, gate := v.pointer("y"), v.pointer("x"), v.pointer("n"), v.pointer("gate")
	v.loop(n, func(i reg.Register) {
		r := v.register()
		VMOVUPS(at(x, i), r)
		v.gate(gate, r)
		VMOVUPS(r, at(y, i))
	})

	v.text("clamp", "func(y, x *float32, n int, scale, shift, low, high float32)",
		"computes y = scale·x + shift, at least low and at most high; a bound of NaN does not bound.")
	y, x, n = v.pointer("y"), v.pointer("x"), v.pointer("n")
	scale, shift, low, high := v.broadcast("scale"), v.broadcast("shift"), v.broadcast(
		"low"), v.broadcast("high")
	v.loop(n, func(i reg.Register) {
		r := v.register()
		VMOVUPS(at(x, i), r)
		VFMADD213PS(shift, scale, r)
		VMAXPS(r, low, r)
		VMINPS(r, high, r)
		VMOVUPS(r, at(y, i))
	})

	v.text("copyVectors", "func(dst, src *float32, srcStep, rows int)",
		"gathers rows vectors, srcStep bytes apart.")
	dst, src, step, rows := v.pointer("dst"), v.pointer("src"), v.pointer("srcStep"), v.pointer("rows")
	three := GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, three)
	SUBQ(Imm(4), rows)
	JLT(LabelRef("rest"))
	Label("four")
	a := v.registers(4)
	VMOVUPS(Mem{Base: src}, a[0])
	VMOVUPS(Mem{Base: src, Index: step, Scale: 1}, a[1])
	VMOVUPS(Mem{Base: src, Index: step, Scale: 2}, a[2])
	VMOVUPS(Mem{Base: src, Index: three, Scale: 1}, a[3])
	LEAQ(Mem{Base: src, Index: step, Scale: 4}, src)
	for i := range a {
		VMOVUPS(a[i], Mem{Base: dst, Disp: i * v.bytes})
	}
	ADDQ(U32(4*v.bytes), dst)
	SUBQ(Imm(4), rows)
	JGE(LabelRef("four"))
	Label("rest")
	ADDQ(Imm(4), rows)
	JZ(LabelRef("end"))
	Label("one")
	VMOVUPS(Mem{Base: src}, a[0])
	VMOVUPS(a[0], Mem{Base: dst})
	ADDQ(step, src)
	ADDQ(U32(v.bytes), dst)
	DECQ(rows)
	JNZ(LabelRef("one"))
	Label("end")
	leave()

	v.affine()
	v.row()
}

// row multiplies a row by a matrix, four panels at a time while there are as many: what a product
// of few rows cannot do, whose sums would wait for each other.
func (v *vector) row() {
	v.text("row", "func(args *byte)", "computes one row of a matrix product; see rowArgs.")
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	panel, three, b, bias, y := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(field(args, rowPanel), panel)
	LEAQ(Mem{Base: panel, Index: panel, Scale: 2}, three)
	MOVQ(field(args, rowB), b)
	MOVQ(field(args, rowBias), bias)
	MOVQ(field(args, rowY), y)
	floor := v.register()
	VBROADCASTSS(field(args, rowFloor), floor)
	for _, panels := range []int{4, 1} {
		name := func(label string) string { return fmt.Sprintf("%s%d", label, panels) }
		Label(name("tile"))
		left := GP64()
		MOVQ(field(args, rowPanels), left)
		CMPQ(left, Imm(uint64(panels)))
		JLT(LabelRef(name("next")))
		sums := v.registers(2 * panels)
		for i, sum := range sums {
			VMOVUPS(Mem{Base: bias, Disp: i * v.bytes}, sum)
		}
		x, at, depth := GP64(), GP64(), GP64()
		MOVQ(field(args, rowX), x)
		MOVQ(b, at)
		MOVQ(field(args, rowDepth), depth)
		place := func(p, disp int) Mem {
			switch p {
			case 0:
				return Mem{Base: at, Disp: disp}
			case 3:
				return Mem{Base: at, Index: three, Scale: 1, Disp: disp}
			}
			return Mem{Base: at, Index: panel, Scale: uint8(p), Disp: disp}
		}
		Label(name("step"))
		f := v.register()
		VBROADCASTSS(Mem{Base: x}, f)
		for i, sum := range sums {
			VFMADD231PS(place(i/2, i%2*v.bytes), f, sum)
		}
		ADDQ(Imm(4), x)
		ADDQ(U32(2*v.bytes), at)
		DECQ(depth)
		JNZ(LabelRef(name("step")))
		for i, sum := range sums {
			VMAXPS(sum, floor, sum)
			VMOVUPS(sum, Mem{Base: y, Disp: i * v.bytes})
		}
		ADDQ(U32(2*panels*v.bytes), bias)
		ADDQ(U32(2*panels*v.bytes), y)
		if panels == 4 {
			LEAQ(Mem{Base: b, Index: panel, Scale: 4}, b)
		} else {
			ADDQ(panel, b)
		}
		SUBQ(Imm(uint64(panels)), field(args, rowPanels))
		JMP(LabelRef(name("tile")))
		Label(name("next"))
	}
	leave()
}

// affine scales and shifts each channel of rows of vectors, as a normalisation with constant
// statistics does.
func (v *vector) affine() {
	v.text("affine", "func(args *byte)",
		"computes rows of y = clamp(x·scale + shift), channel by channel; see affineArgs.")
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	low, high := v.register(), v.register()
	VBROADCASTSS(field(args, affineLow), low)
	VBROADCASTSS(field(args, affineHigh), high)
	x, y, scale, shift := GP64(), GP64(), GP64(), GP64()
	xStep, yStep, rows, width := GP64(), GP64(), GP64(), GP64()
	for _, f := range []struct {
		from int
		to   reg.Register
	}{
		{affineX, x}, {affineY, y}, {affineScale, scale}, {affineShift, shift}, {affineXStep, xStep},
		{affineYStep, yStep},
		{affineRows, rows}, {affineVectors, width},
	} {
		MOVQ(field(args, f.from), f.to)
	}
	IMUL3Q(Imm(uint64(v.bytes)), width, width)
	Label("row")
	lane := GP64()
	XORQ(lane, lane)
	Label("vector")
	r, s := v.register(), v.register()
	VMOVUPS(at(x, lane), r)
	VMOVUPS(at(scale, lane), s)
	VFMADD213PS(at(shift, lane), s, r)
	VMAXPS(r, low, r)
	VMINPS(r, high, r)
	VMOVUPS(r, at(y, lane))
	ADDQ(Imm(uint64(v.bytes)), lane)
	CMPQ(lane, width)
	JLT(LabelRef("vector"))
	ADDQ(xStep, x)
	ADDQ(yStep, y)
	DECQ(rows)
	JNZ(LabelRef("row"))
	leave()
}
