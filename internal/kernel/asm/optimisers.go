package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// scalars broadcasts the leading float32 fields of a structure of constants.
func (v *vector) scalars(c reg.Register, n int) []reg.VecVirtual {
	r := v.registers(n)
	for i := range r {
		VBROADCASTSS(Mem{Base: c, Disp: 4 * i}, r[i])
	}
	return r
}

// when emits body so that it runs where the int32 at m is not 0.
func when(m Mem, label string, body func()) {
	CMPL(m, Imm(0))
	JEQ(LabelRef(label))
	body()
	Label(label)
}

// flushing emits a loop within which numbers below 2⁻¹²⁶ are 0, operands as well as results. The
// means of a gradient that stays 0 shrink until they are as small as that, and stay there: a core
// that computes such numbers by microcode then takes hundreds of cycles for each vector of them.
func (v *vector) flushing(n reg.Register, body func(index reg.Register)) {
	const flushToZero, denormalsAreZero = 1 << 15, 1 << 6
	control, before := GP32(), AllocLocal(8)
	STMXCSR(before)
	MOVL(before, control)
	ORL(U32(flushToZero|denormalsAreZero), control)
	MOVL(control, before.Offset(4))
	LDMXCSR(before.Offset(4))
	v.repeat(n, body)
	LDMXCSR(before)
	leave()
}

func (v *vector) optimisers() {
	v.text("adam", "func(p, dp, m, v *float32, n int, c *byte)",
		"updates parameters by Adam or AdamW.")
	p, g, m, s, n, c := v.pointer("p"), v.pointer("dp"), v.pointer("m"), v.pointer("v"), v.pointer(
		"n"), v.pointer("c")
	k := v.scalars(c, 8)
	keep, decay, rate1, beta2, rate2, step, correction, epsilon := k[0], k[1], k[2], k[3], k[4], k[5],
		k[6], k[7]
	v.flushing(n, func(i reg.Register) {
		w, dw, mean, square := v.register(), v.register(), v.register(), v.register()
		VMULPS(at(p, i), keep, w)
		VMOVUPS(at(g, i), dw)
		when(Mem{Base: c, Disp: 32}, "decayed", func() { VFMADD231PS(w, decay, dw) })
		VMOVUPS(at(m, i), mean)
		t := v.register()
		VSUBPS(mean, dw, t)
		VFMADD231PS(t, rate1, mean)
		VMOVUPS(mean, at(m, i))
		VMULPS(at(s, i), beta2, square)
		VMULPS(dw, rate2, t)
		VFMADD231PS(t, dw, square)
		VMOVUPS(square, at(s, i))
		VSQRTPS(square, square)
		VFMADD213PS(epsilon, correction, square)
		VMULPS(mean, step, mean)
		VDIVPS(square, mean, mean)
		VSUBPS(mean, w, w)
		VMOVUPS(w, at(p, i))
	})

	v.text("lion", "func(p, dp, m *float32, n int, c *byte)", "updates parameters by Lion.")
	// Its steps are by a mean's sign, which the smallest have, too.
	p, g, m, n, c = v.pointer("p"), v.pointer("dp"), v.pointer("m"), v.pointer("n"), v.pointer("c")
	k = v.scalars(c, 7)
	keep, rate1, rate2, step = k[0], k[1], k[2], k[3]
	huge, low, high := k[4], k[5], k[6]
	v.loop(n, func(i reg.Register) {
		w, dw, mean, sign := v.register(), v.register(), v.register(), v.register()
		VMULPS(at(p, i), keep, w)
		VMOVUPS(at(m, i), mean)
		VMOVUPS(at(g, i), dw)
		VSUBPS(mean, dw, dw)
		VMOVAPS(mean, sign)
		VFMADD231PS(dw, rate1, sign)
		VFMADD231PS(dw, rate2, mean)
		VMOVUPS(mean, at(m, i))
		// The smallest number that is not 0 needs both products to reach 1.
		VMULPS(huge, sign, sign)
		VMULPS(huge, sign, sign)
		// The second operand is kept where one is NaN.
		VMAXPS(sign, low, sign)
		VMINPS(sign, high, sign)
		VFNMADD231PS(sign, step, w)
		VMOVUPS(w, at(p, i))
	})

	v.text("sgd", "func(p, dp, b *float32, n int, c *byte)",
		"updates parameters by SGD with momentum.")
	b := v.pointer("b")
	p, g, n, c = v.pointer("p"), v.pointer("dp"), v.pointer("n"), v.pointer("c")
	k = v.scalars(c, 4)
	decay, momentum, fresh, rate := k[0], k[1], k[2], k[3]
	v.flushing(n, func(i reg.Register) {
		w, dw, buffer := v.register(), v.register(), v.register()
		VMOVUPS(at(p, i), w)
		VMOVUPS(at(g, i), dw)
		when(Mem{Base: c, Disp: 16}, "decayed", func() { VFMADD231PS(w, decay, dw) })
		when(Mem{Base: c, Disp: 20}, "momentum", func() {
			VMOVUPS(dw, buffer)
			CMPL(Mem{Base: c, Disp: 24}, Imm(0))
			JNE(LabelRef("buffered"))
			VMULPS(fresh, dw, buffer)
			VFMADD231PS(at(b, i), momentum, buffer)
			Label("buffered")
			VMOVUPS(buffer, at(b, i))
			CMPL(Mem{Base: c, Disp: 28}, Imm(0))
			JNE(LabelRef("nesterov"))
			VMOVUPS(buffer, dw)
			JMP(LabelRef("momentum"))
			Label("nesterov")
			VFMADD231PS(buffer, momentum, dw)
		})
		VFNMADD231PS(dw, rate, w)
		VMOVUPS(w, at(p, i))
	})

	v.text("rmsprop", "func(p, dp, s, a, b *float32, n int, c *byte)",
		"updates parameters by RMSProp.")
	p, g, s, n, c = v.pointer("p"), v.pointer("dp"), v.pointer("s"), v.pointer("n"), v.pointer("c")
	a, b := v.pointer("a"), v.pointer("b")
	k = v.scalars(c, 6)
	decay, alpha, rest, momentum, rate, epsilon := k[0], k[1], k[2], k[3], k[4], k[5]
	v.flushing(n, func(i reg.Register) {
		w, dw, square, t, mean := v.register(), v.register(), v.register(), v.register(), v.register()
		VMOVUPS(at(p, i), w)
		VMOVUPS(at(g, i), dw)
		when(Mem{Base: c, Disp: 24}, "decayed", func() { VFMADD231PS(w, decay, dw) })
		VMULPS(at(s, i), alpha, square)
		VMULPS(dw, rest, t)
		VFMADD231PS(t, dw, square)
		VMOVUPS(square, at(s, i))
		when(Mem{Base: c, Disp: 28}, "centred", func() {
			VMOVUPS(at(a, i), mean)
			VSUBPS(mean, dw, t)
			VFMADD231PS(t, rest, mean)
			VMOVUPS(mean, at(a, i))
			VFNMADD231PS(mean, mean, square)
		})
		VSQRTPS(square, square)
		VADDPS(epsilon, square, square)
		VDIVPS(square, dw, dw)
		when(Mem{Base: c, Disp: 32}, "momentum", func() {
			VFMADD231PS(at(b, i), momentum, dw)
			VMOVUPS(dw, at(b, i))
		})
		VFNMADD231PS(dw, rate, w)
		VMOVUPS(w, at(p, i))
	})
}
