package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Functions with an exponential are computed in float64, half a vector of float32 at a time, and
// rounded once. Their constants lie in a table, each as wide as a vector.

// double is a constant of the table, by its place.
type double int

const (
	log2E double = iota
	ln2
	shifter // 1.5·2⁵²: added to a number, it leaves its integer in the low bits
	one
	two
	three
	minusHalf
	highest // of an exponential's argument
	lowest
	signBit
	magnitudeBits
	density           // 1/√(2π)
	tanhFactor        // −2·√(2/π)
	tanhSlope         // 2·√(2/π)
	tanhCubic         // 0.044715
	tanhCubicSlope    // 3·0.044715
	exponentialSeries // q with eʳ = 1 + r + r²·q(r) for |r| ≤ ln(2)/2, the highest power first
)

// exponentialCoefficients are those of q, to 4e-12 of eʳ: ../exponential.py fits them.
var exponentialCoefficients = []float64{
	2.4867885518030025e-05, 0.0001989928783604132, 0.0013888839086979292, 0.00833329846640745,
	0.04166666678635393, 0.16666666719039122, 0.4999999999995506,
}

// normalCoefficients are those of p in normal.go, the highest power first.
var normalCoefficients = []float64{
	0.018941225076510061, -0.11746007989786769, 0.29459971546527414, -0.36123885283956531,
	0.20871392606452027, -0.090345642260742348, 0.079282404249751401, 0.082617958659676582,
	0.11898419525255376, 0.13292247236460747, 0.13298267836474845,
}

const normalSeries = exponentialSeries + 7

// doubles are the constants in the order of their places.
func doubles() []float64 {
	all := []float64{
		log2E: math.Log2E, ln2: math.Ln2, shifter: 3 << 51, one: 1, two: 2, three: 3, minusHalf: -0.5,
		// Beyond these every float32 result is at its limit, and no float64 on the way is.
		highest: 700, lowest: -700,
		signBit: math.Copysign(0, -1), magnitudeBits: math.Float64frombits(1<<63 - 1),
		density:    1 / (math.Sqrt2 * math.SqrtPi),
		tanhFactor: -2 * math.Sqrt2 / math.SqrtPi, tanhSlope: 2 * math.Sqrt2 / math.SqrtPi,
		tanhCubic: 0.044715, tanhCubicSlope: 3 * 0.044715,
	}
	return append(append(all, exponentialCoefficients...), normalCoefficients...)
}

func (v *vector) table64() string { return "doubles" + v.suffix }

// defineDoubles writes the table of constants.
func (v *vector) defineDoubles() {
	GLOBL(v.table64(), attr.RODATA|attr.NOPTR)
	for i, c := range doubles() {
		for lane := range v.bytes / 8 {
			DATA(i*v.bytes+8*lane, U64(math.Float64bits(c)))
		}
	}
}

func (v *vector) double(d double) Mem {
	return NewDataAddr(NewStaticSymbol(v.table64()), int(d)*v.bytes)
}

func (v *vector) loadDouble(d double) reg.VecVirtual {
	r := v.register()
	VMOVUPD(v.double(d), r)
	return r
}

// widen reads half a vector of float32.
func (v *vector) widen(m Mem) reg.VecVirtual {
	r := v.register()
	VCVTPS2PD(m, r)
	return r
}

// narrow rounds to float32 and stores half a vector.
func (v *vector) narrow(r reg.VecVirtual, m Mem) {
	if v.wide {
		half := YMM()
		VCVTPD2PS(r, half)
		VMOVUPS(half, m)
		return
	}
	half := XMM()
	VCVTPD2PSY(r, half)
	VMOVUPS(half, m)
}

// horner computes a polynomial of r, of so many coefficients of the table.
func (v *vector) horner(first double, count int, r reg.VecVirtual) reg.VecVirtual {
	sum := v.loadDouble(first)
	for i := 1; i < count; i++ {
		VFMADD213PD(v.double(first+double(i)), r, sum)
	}
	return sum
}

// split returns s = 2ⁿ and m = eʳ − 1 with x = n·ln 2 + r, so that eˣ = s·m + s. x is bounded to
// ±700; NaN stays in m. m is exact to its last bits near 0, too.
func (v *vector) split(x reg.VecVirtual) (m, s reg.VecVirtual) {
	bounded, floor := v.loadDouble(highest), v.loadDouble(lowest)
	VMINPD(x, bounded, bounded)
	VMAXPD(bounded, floor, floor)
	r, k, n := floor, v.loadDouble(shifter), v.register()
	VFMADD231PD(v.double(log2E), r, k)
	VSUBPD(v.double(shifter), k, n)
	VFNMADD231PD(v.double(ln2), n, r)
	s = v.register()
	VPSLLQ(Imm(52), k, s)
	VPADDQ(v.double(one), s, s) // the bits of 1: the exponent 0
	square := v.register()
	VMULPD(r, r, square)
	m = v.horner(exponentialSeries, len(exponentialCoefficients), r)
	VFMADD213PD(r, square, m)
	return m, s
}

// exponential is eˣ.
func (v *vector) exponential(x reg.VecVirtual) reg.VecVirtual {
	m, s := v.split(x)
	VFMADD213PD(s, s, m)
	return m
}

// exponentialLessOne is eˣ − 1.
func (v *vector) exponentialLessOne(x reg.VecVirtual) reg.VecVirtual {
	m, s := v.split(x)
	less := v.register()
	VSUBPD(v.double(one), s, less)
	VFMADD213PD(less, s, m)
	return m
}

// reciprocal is 1/d, with AVX-512 to 2⁻²⁷ of itself, which is an eighth of a float32's rounding.
func (v *vector) reciprocal(d reg.VecVirtual) reg.VecVirtual {
	if !v.wide {
		y := v.loadDouble(one)
		VDIVPD(d, y, y)
		return y
	}
	y, rest := v.register(), v.loadDouble(one)
	VRCP14PD(d, y)
	VFNMADD231PD(d, y, rest)
	VFMADD231PD(y, rest, y)
	return y
}

// logistic is 1/(1 + e^negated), of a negated number.
func (v *vector) logistic(negated reg.VecVirtual) reg.VecVirtual {
	e := v.exponential(negated)
	VADDPD(v.double(one), e, e)
	return v.reciprocal(e)
}

func (v *vector) negative(x reg.VecVirtual) reg.VecVirtual {
	r := v.register()
	VXORPD(v.double(signBit), x, r)
	return r
}

// normal is the normal distribution function Φ at x and e^(−x²/2); see normal.go.
func (v *vector) normal(x reg.VecVirtual) (share, e reg.VecVirtual) {
	square := v.register()
	VMULPD(x, x, square)
	VMULPD(v.double(minusHalf), square, square)
	e = v.exponential(square)
	a, t := v.register(), v.register()
	VANDPD(v.double(magnitudeBits), x, a)
	VMINPD(v.double(highest), a, a) // that 3/(3 + a) is a number; of NaN, e is none
	VADDPD(v.double(three), a, a)
	VMULPD(v.double(three), v.reciprocal(a), t)
	below := v.horner(normalSeries, len(normalCoefficients), t)
	VMULPD(t, below, below)
	VMULPD(e, below, below)
	share = v.loadDouble(one)
	VSUBPD(below, share, share)
	if v.wide {
		k := K()
		VPMOVQ2M(x, k)
		VMOVAPD(below, k, share)
	} else {
		VBLENDVPD(x, below, share, share)
	}
	return share, e
}

// normalTanh is σ(2u), u = √(2/π)·(x + 0.044715·x³), and its slope if that is wanted.
func (v *vector) normalTanh(x reg.VecVirtual, wanted bool) (share, slope reg.VecVirtual) {
	square, u := v.register(), v.loadDouble(one)
	VMULPD(x, x, square)
	VFMADD231PD(v.double(tanhCubic), square, u)
	VMULPD(x, u, u)
	VMULPD(v.double(tanhFactor), u, u)
	share = v.logistic(u)
	if !wanted {
		return share, nil
	}
	slope = v.loadDouble(one)
	VFMADD231PD(v.double(tanhCubicSlope), square, slope)
	VMULPD(v.double(tanhSlope), slope, slope)
	VMULPD(share, slope, slope)
	rest := v.loadDouble(one)
	VSUBPD(share, rest, rest)
	VMULPD(rest, slope, slope)
	return share, slope
}

// where leaves x in the lanes of float64 where "a predicate b" holds, and y in the others, in y.
func (v *vector) where(predicate uint64, a, b, x, y reg.VecVirtual) {
	if v.wide {
		k := K()
		VCMPPD(Imm(predicate), b, a, k)
		VMOVAPD(x, k, y)
		return
	}
	c := YMM()
	VCMPPD(Imm(predicate), b, a, c)
	VBLENDVPD(c, x, y, y)
}

// halves emits body once half a vector for n elements, n a positive multiple of the vector's lanes.
func (v *vector) halves(n reg.Register, body func(at func(base reg.Register) Mem)) {
	v.loop(n, func(i reg.Register) {
		for half := range 2 {
			body(func(base reg.Register) Mem {
				return Mem{Base: base, Index: i, Scale: 1, Disp: half * v.bytes / 2}
			})
		}
	})
}
