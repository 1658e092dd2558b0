package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// prefetch asks for cache lines that lie in a row, without waiting for them.
func prefetch() {
	TEXT("prefetchAVX2", attr.NOSPLIT, "func(p *float32, lines int)")
	Doc("prefetchAVX2 brings lines of 64 bytes into the second-level cache.")
	Pragma("noescape")
	p, lines := Load(Param("p"), GP64()), Load(Param("lines"), GP64())
	Label("line")
	PREFETCHT1(Mem{Base: p})
	ADDQ(Imm(64), p)
	DECQ(lines)
	JNZ(LabelRef("line"))
	RET()
}
