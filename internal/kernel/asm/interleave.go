package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// planes is how many are interleaved: those of red, green and blue.
const planes = 3

// interleave3 makes positions of three planes. An element of a vector of results comes from the
// same place of one of the planes, whichever that is: so each plane is permuted alike, and the
// elements are chosen then.
func (v *vector) interleave3() {
	lanes := v.bytes / 4
	table := GLOBL("interleaveIndex"+v.suffix, attr.RODATA|attr.NOPTR)
	for i := range planes * lanes {
		DATA(4*i, U32(i/planes))
	}
	v.text("interleave3", "func(dst, a, b, c *float32, n int)",
		"writes n positions, whole vectors, of which a, b and c have one element each.")
	dst := v.pointer("dst")
	from := []reg.Register{v.pointer("a"), v.pointer("b"), v.pointer("c")}
	n := v.pointer("n")
	index := v.registers(planes)
	for i := range index {
		VMOVUPS(table.Offset(i*v.bytes), index[i])
	}
	// chosen are the lanes of a vector of results that come from a plane.
	chosen := func(vector, plane int) uint64 {
		bits := uint64(0)
		for lane := range lanes {
			if (vector*lanes+lane)%planes == plane {
				bits |= 1 << lane
			}
		}
		return bits
	}
	masks := map[uint64]reg.OpmaskVirtual{}
	if v.wide {
		for i := range planes {
			for plane := 1; plane < planes; plane++ {
				bits, t := chosen(i, plane), GP32()
				if _, ok := masks[bits]; !ok {
					masks[bits] = K()
					MOVL(U32(bits), t)
					KMOVW(t, masks[bits])
				}
			}
		}
	}
	v.loop(n, func(place reg.Register) {
		for i := range planes {
			result := v.register()
			VPERMPS(at(from[0], place), index[i], result)
			for plane := 1; plane < planes; plane++ {
				bits := chosen(i, plane)
				if v.wide {
					VPERMPS(at(from[plane], place), index[i], masks[bits], result)
					continue
				}
				other := v.register()
				VPERMPS(at(from[plane], place), index[i], other)
				VBLENDPS(Imm(bits), other, result, result)
			}
			VMOVUPS(result, Mem{Base: dst, Disp: i * v.bytes})
		}
		ADDQ(Imm(uint64(planes*v.bytes)), dst)
	})
}
