package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector is an instruction set's vector unit: what differs between AVX2 and AVX-512 is behind its
// methods.
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
	return prefix + string(rune('0'+l.n/100%10)) + string(rune('0'+l.n/10%10)) +
		string(rune('0'+l.n%10))
}

func (v *vector) zero(r reg.VecVirtual) {
	if v.wide {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
	}
}

// multiplyBroadcast adds, to each accumulator of a row, the scalar at m times the vector beside it.
// A scalar of several products is loaded once: with a load in every multiply-add, a core that
// starts two of each in a cycle is bound by the loads.
func (v *vector) multiplyBroadcast(m Mem, b, accumulators []reg.VecVirtual) {
	if v.wide && len(b) == 1 {
		VFMADD231PS_BCST(m, b[0], accumulators[0])
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

// storeLeading stores the leading lanes of vectors, those that the mask at m has, each at its
// pointer plus disp. AVX2's own masked store takes tens of cycles on AMD's cores, so there the
// lanes go by fours, twos and ones.
func (v *vector) storeLeading(vectors []reg.VecVirtual, m Mem, pointers []reg.GPVirtual, disp int,
	l *labels) {
	if v.wide {
		lanes := v.loadMask(m)
		for r := range vectors {
			v.storeMasked(vectors[r], lanes, Mem{Base: pointers[r], Disp: disp})
		}
		return
	}
	lanes, count, at := YMM(), GP32(), GP64()
	VMOVUPS(m, lanes)
	VMOVMSKPS(lanes, count)
	POPCNTL(count, count)
	partial, twos, one, done := l.next("partial"), l.next("twos"), l.next("one"), l.next("done")
	CMPL(count, Imm(8))
	JNE(LabelRef(partial))
	for r := range vectors {
		VMOVUPS(vectors[r], Mem{Base: pointers[r], Disp: disp})
	}
	JMP(LabelRef(done))
	Label(partial)
	XORQ(at, at)
	store := func(r int) Mem { return Mem{Base: pointers[r], Index: at, Scale: 1, Disp: disp} }
	TESTL(U32(4), count)
	JZ(LabelRef(twos))
	for r := range vectors {
		VMOVUPS(vectors[r].AsX(), store(r))
		VEXTRACTF128(Imm(1), vectors[r].AsY(), vectors[r].AsX())
	}
	ADDQ(Imm(16), at)
	Label(twos)
	TESTL(U32(2), count)
	JZ(LabelRef(one))
	for r := range vectors {
		VMOVLPS(vectors[r].AsX(), store(r))
		VPERMILPS(Imm(0x0e), vectors[r].AsX(), vectors[r].AsX())
	}
	ADDQ(Imm(8), at)
	Label(one)
	TESTL(U32(1), count)
	JZ(LabelRef(done))
	for r := range vectors {
		VMOVSS(vectors[r].AsX(), store(r))
	}
	Label(done)
}

func field(args reg.GPVirtual, offset int) Mem { return Mem{Base: args, Disp: offset} }

// leave returns to Go, whose code is slowed down by registers with upper halves in use.
func leave() {
	VZEROUPPER()
	RET()
}
