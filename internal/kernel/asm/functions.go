package main

import (
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// greater is the predicate GT_OQ: false for NaN.
const greater = 0x1e

// functions generates the activation functions and their gradients; see ../functions.go.
func (v *vector) functions() {
	v.defineDoubles()
	v.function("exponential", "computes y = eˣ.", v.exponential)
	v.function("sigmoid", "computes y = 1/(1 + e⁻ˣ).",
		func(x reg.VecVirtual) reg.VecVirtual { return v.logistic(v.negative(x)) })
	v.function("tanh", "computes y = (e²ˣ − 1)/(e²ˣ + 1).", func(x reg.VecVirtual) reg.VecVirtual {
		VADDPD(x, x, x)
		m, d := v.exponentialLessOne(x), v.register()
		VADDPD(v.double(two), m, d)
		VMULPD(v.reciprocal(d), m, m)
		return m
	})
	v.function("silu", "computes y = x/(1 + e⁻ˣ).", func(x reg.VecVirtual) reg.VecVirtual {
		VMULPD(v.logistic(v.negative(x)), x, x)
		return x
	})
	v.function("gelu", "computes y = x·Φ(x).", func(x reg.VecVirtual) reg.VecVirtual {
		share, _ := v.normal(x)
		VMULPD(share, x, x)
		return x
	})
	v.function("geluTanh", "computes y = x·σ(2u), u = √(2/π)·(x + 0.044715·x³).",
		func(x reg.VecVirtual) reg.VecVirtual {
			share, _ := v.normalTanh(x, false)
			VMULPD(share, x, x)
			return x
		})
	v.slope("siluGradient", "computes dx = dy·σ(x)·(1 + x·(1 − σ(x))).",
		func(x reg.VecVirtual) reg.VecVirtual {
			s, rest := v.logistic(v.negative(x)), v.loadDouble(one)
			VSUBPD(s, rest, rest)
			VFMADD213PD(v.double(one), x, rest)
			VMULPD(s, rest, rest)
			return rest
		})
	v.slope("geluGradient", "computes dx = dy·(Φ(x) + x·φ(x)).",
		func(x reg.VecVirtual) reg.VecVirtual {
			share, e := v.normal(x)
			VMULPD(v.double(density), e, e)
			VFMADD231PD(x, e, share)
			return share
		})
	v.slope("geluTanhGradient", "computes dx = dy·(s + x·s′), s = σ(2u).",
		func(x reg.VecVirtual) reg.VecVirtual {
			share, slope := v.normalTanh(x, true)
			VFMADD231PD(x, slope, share)
			return share
		})

	v.text("elu", "func(y, x *float32, n int, alpha float64)",
		"computes y = x where x > 0, and alpha·(eˣ − 1) elsewhere.")
	y, x, n := v.pointer("y"), v.pointer("x"), v.pointer("n")
	alpha := v.broadcastDouble("alpha")
	zero := v.register()
	v.zero(zero)
	v.halves(n, func(at func(reg.Register) Mem) {
		r := v.widen(at(x))
		m := v.exponentialLessOne(r)
		VMULPD(alpha, m, m)
		v.where(greater, r, zero, r, m)
		v.narrow(m, at(y))
	})
	v.lines()
}

// function generates y = f(x). f may overwrite its argument.
func (v *vector) function(name, doc string, f func(x reg.VecVirtual) reg.VecVirtual) {
	v.text(name, "func(y, x *float32, n int)", doc)
	y, x, n := v.pointer("y"), v.pointer("x"), v.pointer("n")
	v.halves(n, func(at func(reg.Register) Mem) { v.narrow(f(v.widen(at(x))), at(y)) })
}

// slope generates dx = dy·f′(x).
func (v *vector) slope(name, doc string, f func(x reg.VecVirtual) reg.VecVirtual) {
	v.text(name, "func(dx, dy, x *float32, n int)", doc)
	dx, dy, x, n := v.pointer("dx"), v.pointer("dy"), v.pointer("x"), v.pointer("n")
	v.halves(n, func(at func(reg.Register) Mem) {
		s := f(v.widen(at(x)))
		VMULPD(v.widen(at(dy)), s, s)
		v.narrow(s, at(dx))
	})
}

func (v *vector) broadcastDouble(name string) reg.VecVirtual {
	r := v.register()
	a, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSD(a.Addr, r)
	return r
}

// lines generates what is made of pieces of straight lines, and the gradients that are made of an
// output. They are float32 and round as the loops of ../functions.go do.
func (v *vector) lines() {
	v.defineNumbers()
	v.line("leakyReLU", "func(y, x *float32, n int, slope float32)",
		"computes y = x where x > 0, and slope·x elsewhere.", []string{"y", "x"}, "slope",
		func(in []reg.VecVirtual, slope reg.VecVirtual) reg.VecVirtual {
			return v.leak(in[0], in[0], slope)
		})
	v.line("leakyReLUGradient", "func(dx, dy, y *float32, n int, slope float32)",
		"computes dx = dy where y > 0, and slope·dy elsewhere.", []string{"dx", "dy", "y"}, "slope",
		func(in []reg.VecVirtual, slope reg.VecVirtual) reg.VecVirtual {
			return v.leak(in[0], in[1], slope)
		})
	v.line("eluGradient", "func(dx, dy, y *float32, n int, alpha float32)",
		"computes dx = dy where y > 0, and (y + alpha)·dy elsewhere.", []string{"dx", "dy", "y"}, "alpha",
		func(in []reg.VecVirtual, alpha reg.VecVirtual) reg.VecVirtual {
			sum := v.register()
			VADDPS(alpha, in[1], sum)
			return v.leak(in[0], in[1], sum)
		})
	v.line("hardSigmoid", "func(y, x *float32, n int)", "computes y = min(max(x + 3, 0), 6)/6.",
		[]string{"y", "x"}, "", func(in []reg.VecVirtual, _ reg.VecVirtual) reg.VecVirtual {
			return v.hardGate(in[0])
		})
	v.line("hardSwish", "func(y, x *float32, n int)", "computes y = x·min(max(x + 3, 0), 6)/6.",
		[]string{"y", "x"}, "", func(in []reg.VecVirtual, _ reg.VecVirtual) reg.VecVirtual {
			gate := v.hardGate(in[0])
			VMULPS(gate, in[0], gate)
			return gate
		})
	v.line("relu6Gradient", "func(dx, dy, y *float32, n int)",
		"computes dx = dy where 0 < y < 6, else 0.", []string{"dx", "dy",
			"y"}, "", func(in []reg.VecVirtual, _ reg.VecVirtual) reg.VecVirtual {
			return v.between(in[0], in[1], 6)
		})
	v.line("hardSigmoidGradient", "func(dx, dy, y *float32, n int)",
		"computes dx = dy/6 where 0 < y < 1, else 0.", []string{"dx", "dy", "y"}, "",
		func(in []reg.VecVirtual, _ reg.VecVirtual) reg.VecVirtual {
			r := v.between(in[0], in[1], 1)
			VDIVPS(v.number(6), r, r)
			return r
		})
	v.line("hardSwishGradient", "func(dx, dy, x *float32, n int)",
		"computes dx = dy·(x/3 + 1/2) where −3 < x < 3, dy above, 0 below.", []string{"dx", "dy",
			"x"}, "",
		func(in []reg.VecVirtual, _ reg.VecVirtual) reg.VecVirtual {
			s, limit, unit := v.register(), v.number(3), v.number(1)
			VDIVPS(limit, in[1], s)
			VADDPS(v.number(0.5), s, s)
			v.keepWhere(notLessOrEqual, in[1], v.number(-3), s)
			v.select32(notGreaterOrEqual, in[1], limit, s, unit)
			VMULPS(unit, in[0], s)
			return s
		})
	v.line("sigmoidGradient", "func(dx, dy, y *float32, n int)", "computes dx = dy·y·(1 − y).",
		[]string{"dx", "dy", "y"}, "", func(in []reg.VecVirtual, _ reg.VecVirtual) reg.VecVirtual {
			rest := v.number(1)
			VSUBPS(in[1], rest, rest)
			VMULPS(in[1], in[0], in[0])
			VMULPS(rest, in[0], in[0])
			return in[0]
		})
	v.line("tanhGradient", "func(dx, dy, y *float32, n int)", "computes dx = dy·(1 − y)·(1 + y).",
		[]string{"dx", "dy", "y"}, "", func(in []reg.VecVirtual, _ reg.VecVirtual) reg.VecVirtual {
			less, more := v.number(1), v.number(1)
			VSUBPS(in[1], less, less)
			VADDPS(in[1], more, more)
			VMULPS(less, in[0], in[0])
			VMULPS(more, in[0], in[0])
			return in[0]
		})
}

// line generates a loop over whole vectors: names are the output and the inputs, parameter a number
// if there is one.
func (v *vector) line(name, signature, doc string, names []string, parameter string,
	f func(in []reg.VecVirtual, parameter reg.VecVirtual) reg.VecVirtual) {
	v.text(name, signature, doc)
	var pointers []reg.Register
	for _, name := range names {
		pointers = append(pointers, v.pointer(name))
	}
	n := v.pointer("n")
	var number reg.VecVirtual
	if parameter != "" {
		number = v.broadcast(parameter)
	}
	v.loop(n, func(i reg.Register) {
		in := v.registers(len(pointers) - 1)
		for k, r := range in {
			VMOVUPS(at(pointers[k+1], i), r)
		}
		VMOVUPS(f(in, number), at(pointers[0], i))
	})
}

// numbers are the float32 constants of the pieces of lines.
var numbers = []float32{-3, 0.5, 1, 3, 6}

func (v *vector) defineNumbers() {
	GLOBL("numbers"+v.suffix, attr.RODATA|attr.NOPTR)
	for i, x := range numbers {
		DATA(4*i, U32(math.Float32bits(x)))
	}
}

// number is a register of one of the constants.
func (v *vector) number(x float32) reg.VecVirtual {
	r := v.register()
	VBROADCASTSS(NewDataAddr(NewStaticSymbol("numbers"+v.suffix), 4*slices.Index(numbers, x)), r)
	return r
}

// leak is x where y > 0, and slope·x elsewhere.
func (v *vector) leak(x, y, slope reg.VecVirtual) reg.VecVirtual {
	zero, r := v.register(), v.register()
	v.zero(zero)
	VMULPS(slope, x, r)
	v.select32(greater, y, zero, x, r)
	return r
}

// hardGate is min(max(x + 3, 0), 6)/6; NaN stays.
func (v *vector) hardGate(x reg.VecVirtual) reg.VecVirtual {
	r, zero, six := v.register(), v.register(), v.number(6)
	v.zero(zero)
	VADDPS(v.number(3), x, r)
	VMAXPS(r, zero, r)
	VMINPS(r, six, r)
	VDIVPS(six, r, r)
	return r
}

// between is x where 0 < y < high or y is NaN, and 0 elsewhere.
func (v *vector) between(x, y reg.VecVirtual, high float32) reg.VecVirtual {
	zero := v.register()
	v.zero(zero)
	v.keepWhere(notLessOrEqual, y, zero, x)
	v.keepWhere(notGreaterOrEqual, y, v.number(high), x)
	return x
}

// select32 leaves x in the lanes where "a predicate b" holds, and y in the others, in y.
func (v *vector) select32(predicate uint64, a, b, x, y reg.VecVirtual) {
	if v.wide {
		k := K()
		VCMPPS(Imm(predicate), b, a, k)
		VMOVAPS(x, k, y)
		return
	}
	c := YMM()
	VCMPPS(Imm(predicate), b, a, c)
	VBLENDVPS(c, x, y, y)
}
