package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// notEqual is the predicate NEQ_UQ of VCMPPS: true for NaN.
const notEqual = 0x04

// loop emits body once a vector for n elements, n a positive multiple of the vector's lanes; index
// counts bytes.
func (v *vector) loop(n reg.Register, body func(index reg.Register)) {
	v.repeat(n, body)
	leave()
}

// repeat is a loop behind which the function goes on.
func (v *vector) repeat(n reg.Register, body func(index reg.Register)) {
	index := GP64()
	XORQ(index, index)
	SHLQ(Imm(2), n)
	Label("loop")
	body(index)
	ADDQ(Imm(uint64(v.bytes)), index)
	CMPQ(index, n)
	JLT(LabelRef("loop"))
}

func (v *vector) pointer(name string) reg.Register { return Load(Param(name), GP64()) }

func (v *vector) broadcast(name string) reg.VecVirtual {
	r := v.register()
	a, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(a.Addr, r)
	return r
}

func (v *vector) constant(bits uint32) reg.VecVirtual {
	t, x, r := GP32(), XMM(), v.register()
	MOVL(U32(bits), t)
	VMOVD(t, x)
	VPBROADCASTD(x, r)
	return r
}

func at(base, index reg.Register) Mem { return Mem{Base: base, Index: index, Scale: 1} }

// and works on the bits.
func (v *vector) and(a, b, out reg.VecVirtual) {
	if v.wide {
		VPANDD(a, b, out)
	} else {
		VANDPS(a, b, out)
	}
}

// keepWhere leaves x in the lanes where "a predicate b" holds and 0 in the others.
func (v *vector) keepWhere(predicate uint64, a, b, x reg.VecVirtual) {
	if v.wide {
		k := K()
		VCMPPS(Imm(predicate), b, a, k)
		VMOVAPS_Z(x, k, x)
		return
	}
	c := YMM()
	VCMPPS(Imm(predicate), b, a, c)
	VANDPS(c, x, x)
}

func (v *vector) elementwise() {
	v.text("relu", "func(y, x *float32, n int)", "computes y = max(x, 0); NaN stays.")
	y, x, n := v.pointer("y"), v.pointer("x"), v.pointer("n")
	zero := v.register()
	v.zero(zero)
	v.loop(n, func(i reg.Register) {
		r := v.register()
		VMOVUPS(at(x, i), r)
		VMAXPS(r, zero, r)
		VMOVUPS(r, at(y, i))
	})

	v.text("reluGradient", "func(dx, dy, y *float32, n int)",
		"computes dx = dy where y > 0 or NaN, else 0.")
	dx, dy, y, n := v.pointer("dx"), v.pointer("dy"), v.pointer("y"), v.pointer("n")
	zero = v.register()
	v.zero(zero)
	v.loop(n, func(i reg.Register) {
		r, g := v.register(), v.register()
		VMOVUPS(at(y, i), r)
		VMOVUPS(at(dy, i), g)
		v.keepWhere(notLessOrEqual, r, zero, g)
		VMOVUPS(g, at(dx, i))
	})

	v.text("multiply", "func(z, x, y *float32, n int)", "computes z = x·y.")
	z, x, y, n := v.pointer("z"), v.pointer("x"), v.pointer("y"), v.pointer("n")
	v.loop(n, func(i reg.Register) {
		r := v.register()
		VMOVUPS(at(x, i), r)
		VMULPS(at(y, i), r, r)
		VMOVUPS(r, at(z, i))
	})

	v.text("addScaled", "func(y, x *float32, n int, scale float32)", "computes y += scale·x.")
	y, x, n = v.pointer("y"), v.pointer("x"), v.pointer("n")
	scale := v.broadcast("scale")
	v.loop(n, func(i reg.Register) {
		r := v.register()
		VMOVUPS(at(y, i), r)
		VFMADD231PS(at(x, i), scale, r)
		VMOVUPS(r, at(y, i))
	})

	v.text("addClamped", "func(z, x, y *float32, n int, low, high float32)",
		"computes z = x + y, at least low and at most high; a bound of NaN does not bound.")
	z, x, y, n = v.pointer("z"), v.pointer("x"), v.pointer("y"), v.pointer("n")
	low, high := v.broadcast("low"), v.broadcast("high")
	v.loop(n, func(i reg.Register) {
		r := v.register()
		VMOVUPS(at(x, i), r)
		VADDPS(at(y, i), r, r)
		VMAXPS(r, low, r)
		VMINPS(r, high, r)
		VMOVUPS(r, at(z, i))
	})

	v.text("bytes", "func(y *float32, x *uint8, n int, scale, offset float32)",
		"computes y = scale·x + offset.")
	y, x, n = v.pointer("y"), v.pointer("x"), v.pointer("n")
	scale, offset := v.broadcast("scale"), v.broadcast("offset")
	v.loop(n, func(i reg.Register) {
		r, src := v.register(), GP64()
		MOVQ(i, src)
		SHRQ(Imm(2), src)
		VPMOVZXBD(at(x, src), r)
		VCVTDQ2PS(r, r)
		VFMADD213PS(offset, scale, r)
		VMOVUPS(r, at(y, i))
	})

	v.text("sums", "func(out, x *float32, n int)",
		"writes a vector of sums of |x| and one of sums of x²; n is a positive multiple of four vectors.")
	out, x, n := v.pointer("out"), v.pointer("x"), v.pointer("n")
	absolute, squares := v.registers(4), v.registers(4)
	magnitude := v.constant(0x7fffffff)
	for i := range 4 {
		v.zero(absolute[i])
		v.zero(squares[i])
	}
	SHLQ(Imm(2), n)
	ADDQ(x, n)
	Label("loop")
	for i := range 4 {
		r := v.register()
		VMOVUPS(Mem{Base: x, Disp: i * v.bytes}, r)
		VFMADD231PS(r, r, squares[i])
		v.and(r, magnitude, r)
		VADDPS(r, absolute[i], absolute[i])
	}
	ADDQ(U32(4*v.bytes), x)
	CMPQ(x, n)
	JLT(LabelRef("loop"))
	for k, r := range [][]reg.VecVirtual{absolute, squares} {
		VADDPS(r[1], r[0], r[0])
		VADDPS(r[3], r[2], r[2])
		VADDPS(r[2], r[0], r[0])
		VMOVUPS(r[0], Mem{Base: out, Disp: k * v.bytes})
	}
	leave()

	v.text("penalty", "func(dp, p *float32, n int, l1, scale float32)",
		"computes dp += l1·sign(p) + scale·p.")
	g, p, n := v.pointer("dp"), v.pointer("p"), v.pointer("n")
	l1, scale := v.broadcast("l1"), v.broadcast("scale")
	sign := v.constant(0x80000000)
	zero = v.register()
	v.zero(zero)
	v.loop(n, func(i reg.Register) {
		r, s, t := v.register(), v.register(), v.register()
		VMOVUPS(at(p, i), r)
		VMOVUPS(at(g, i), s)
		v.and(r, sign, t)
		if v.wide {
			VPXORD(t, l1, t)
		} else {
			VXORPS(t, l1, t)
		}
		v.keepWhere(notEqual, r, zero, t)
		VADDPS(t, s, s)
		VFMADD231PS(r, scale, s)
		VMOVUPS(s, at(g, i))
	})
}

// copyRows gathers the rows of a panel of two vectors: what a matrix product reads in order.
func (v *vector) copyRows() {
	v.text("copyRows", "func(dst, src *float32, srcStep, rows int)",
		"copies rows of two vectors, srcStep bytes apart, to a dense panel.")
	dst, src, step, rows := v.pointer("dst"), v.pointer("src"), v.pointer("srcStep"), v.pointer("rows")
	Label("row")
	a, b := v.register(), v.register()
	VMOVUPS(Mem{Base: src}, a)
	VMOVUPS(Mem{Base: src, Disp: v.bytes}, b)
	VMOVUPS(a, Mem{Base: dst})
	VMOVUPS(b, Mem{Base: dst, Disp: v.bytes})
	ADDQ(step, src)
	ADDQ(U32(2*v.bytes), dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	leave()
}
