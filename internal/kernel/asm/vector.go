package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector is an instruction set's vector unit: what differs between AVX2 and AVX-512 is behind its methods.
type vector struct {
	suffix  string
	bytes   int  // of a register
	rows    int  // of the matrix product's register tile
	columns int  // of it, in registers
	wide    bool // AVX-512: mask registers, embedded broadcast
}

func (v *vector) register() reg.VecVirtual {
	if v.wide {
		return ZMM()
	}
	return YMM()
}

func (v *vector) registers(n int) []reg.VecVirtual {
	r := make([]reg.VecVirtual, n)
	for i := range r {
		r[i] = v.register()
	}
	return r
}

func (v *vector) text(name, signature, doc string) {
	TEXT(name+v.suffix, attr.NOSPLIT, signature)
	Doc(name + v.suffix + " " + doc)
	Pragma("noescape")
}

// labels makes names unique within a function by number.
type labels struct{ n int }

func (l *labels) next(prefix string) string {
	l.n++
	return prefix + string(rune('0'+l.n/100%10)) + string(rune('0'+l.n/10%10)) + string(rune('0'+l.n%10))
}

func (v *vector) zero(r reg.VecVirtual) {
	if v.wide {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
	}
}

// multiplyBroadcast adds, to each accumulator of a row, the scalar at m times the vector beside it.
func (v *vector) multiplyBroadcast(m Mem, b, accumulators []reg.VecVirtual) {
	if v.wide {
		for j := range b {
			VFMADD231PS_BCST(m, b[j], accumulators[j])
		}
		return
	}
	s := v.register()
	VBROADCASTSS(m, s)
	for j := range b {
		VFMADD231PS(s, b[j], accumulators[j])
	}
}

// mask holds the lanes of a partial vector.
type mask struct {
	vec reg.VecVirtual
	k   reg.OpmaskVirtual
}

// loadMask reads a vector of int32, −1 in the lanes that count and 0 elsewhere.
func (v *vector) loadMask(m Mem) mask {
	if v.wide {
		z, k := ZMM(), K()
		VMOVDQU32(m, z)
		VPMOVD2M(z, k)
		return mask{k: k}
	}
	y := YMM()
	VMOVUPS(m, y)
	return mask{vec: y}
}

func (v *vector) loadMasked(m Mem, k mask, r reg.VecVirtual) {
	if v.wide {
		VMOVUPS_Z(m, k.k, r)
	} else {
		VMASKMOVPS(m, k.vec, r)
	}
}

func (v *vector) storeMasked(r reg.VecVirtual, k mask, m Mem) {
	if v.wide {
		VMOVUPS(r, k.k, m)
	} else {
		VMASKMOVPS(r, k.vec, m)
	}
}

func field(args reg.GPVirtual, offset int) Mem { return Mem{Base: args, Disp: offset} }

// leave returns to Go, whose code is slowed down by registers with upper halves in use.
func leave() {
	VZEROUPPER()
	RET()
}
