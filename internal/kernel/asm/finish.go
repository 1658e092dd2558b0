package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// finishing is the offsets of the fields that say what becomes of sums before they are stored.
type finishing struct{ floor, ceiling, add, row, mask, gate int }

// finish adds rows of another tensor to the sums, bounds them, and multiplies them by their gate,
// each where it is asked for. pointers gives the rows of a base and a table of offsets.
func (v *vector) finish(args reg.GPVirtual, acc [][]reg.VecVirtual,
	pointers func(base, offsets int) []reg.GPVirtual, f *finishing, l *labels) {
	bound, partial := l.next("bound"), l.next("partialAdd")
	t := GP64()
	MOVQ(field(args, f.add), t)
	TESTQ(t, t)
	JZ(LabelRef(bound))
	{
		z, k := pointers(f.add, f.row), GP64()
		MOVQ(field(args, f.mask), k)
		TESTQ(k, k)
		JNZ(LabelRef(partial))
		for r := range acc {
			for j := range acc[r] {
				VADDPS(Mem{Base: z[r], Disp: j * v.bytes}, acc[r][j], acc[r][j])
			}
		}
		JMP(LabelRef(bound))
		Label(partial)
		for j := range acc[0] {
			lanes := v.loadMask(Mem{Base: k, Disp: j * v.bytes})
			for r := range acc {
				row := v.register()
				v.loadMasked(Mem{Base: z[r], Disp: j * v.bytes}, lanes, row)
				VADDPS(row, acc[r][j], acc[r][j])
			}
		}
	}
	Label(bound)
	floor := v.register()
	VBROADCASTSS(field(args, f.floor), floor)
	for r := range acc {
		for j := range acc[r] {
			VMAXPS(acc[r][j], floor, acc[r][j])
		}
	}
	gated, end := l.next("gated"), l.next("finished")
	high := GP32()
	MOVL(field(args, f.ceiling), high)
	TESTL(high, high)
	JZ(LabelRef(gated))
	ceiling := v.register()
	VBROADCASTSS(field(args, f.ceiling), ceiling)
	for r := range acc {
		for j := range acc[r] {
			VMINPS(acc[r][j], ceiling, acc[r][j])
		}
	}
	Label(gated)
	gate := GP64()
	MOVQ(field(args, f.gate), gate)
	TESTQ(gate, gate)
	JZ(LabelRef(end))
	for r := range acc {
		for j := range acc[r] {
			v.gate(gate, acc[r][j])
		}
	}
	Label(end)
}

// gate multiplies x by clamp(slope·x + offset, low, high), of which a vector each lies at p. NaN
// stays.
func (v *vector) gate(p reg.Register, x reg.VecVirtual) {
	t := v.register()
	constant := func(i int) Mem { return Mem{Base: p, Disp: i * v.bytes} }
	VMOVUPS(constant(0), t)
	VFMADD213PS(constant(1), x, t)
	bound := v.register()
	VMOVUPS(constant(2), bound)
	VMAXPS(t, bound, t)
	VMOVUPS(constant(3), bound)
	VMINPS(t, bound, t)
	VMULPS(t, x, x)
}
