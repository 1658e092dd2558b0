package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of rowsArgs' fields; a test in package kernel compares them.
const (
	rowsA      = 0
	rowsARow   = 8
	rowsB      = 16
	rowsC      = 24
	rowsCRow   = 32
	rowsM      = 40
	rowsLength = 48
	rowsAdd    = 56
)

// rowsProduct is the matrix product C (+)= A·B of rows that lie evenly apart, where B is a packed
// panel of columns vectors. Of a short sum the general product's tables, runs and masks would be
// half the time.
func (v *vector) rowsProduct(name string, rows, columns int) {
	v.text(name, "func(args *byte)", "computes args.M rows of a matrix product; see rowsArgs.")
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	load := func(offset int) reg.GPVirtual {
		r := GP64()
		MOVQ(field(args, offset), r)
		return r
	}
	// The cursors are kept apart from the pointers that the garbage collector sees: they end past the
	// matrices.
	from, to, m := load(rowsA), load(rowsC), load(rowsM)
	accumulators := make([][]reg.VecVirtual, rows)
	for r := range accumulators {
		accumulators[r] = v.registers(columns)
	}
	var l labels
	for height := rows; height >= 1; {
		tile, smaller := l.next("tile"), l.next("smaller")
		Label(tile)
		CMPQ(m, Imm(uint64(height)))
		JLT(LabelRef(smaller))
		acc := accumulators[:height]
		// visit calls f for each vector of C.
		visit := func(f func(c Mem, sum reg.VecVirtual)) evenly {
			c := newEvenly(to, load(rowsCRow))
			fours := c.fours(height)
			for r := range acc {
				for j := range columns {
					f(c.at(fours[r/4], r, j*v.bytes), acc[r][j])
				}
			}
			return c
		}
		add, start := l.next("add"), l.next("start")
		CMPQ(field(args, rowsAdd), Imm(0))
		JNE(LabelRef(add))
		for r := range acc {
			for j := range columns {
				v.zero(acc[r][j])
			}
		}
		JMP(LabelRef(start))
		Label(add)
		visit(func(c Mem, sum reg.VecVirtual) { VMOVUPS(c, sum) })
		Label(start)
		a := newEvenly(from, load(rowsARow))
		v.rowsTile(args, a, acc, l.next("step"))
		a.advance(height)
		visit(func(c Mem, sum reg.VecVirtual) { VMOVUPS(sum, c) }).advance(height)
		SUBQ(Imm(uint64(height)), m)
		if height == rows {
			JMP(LabelRef(tile))
		}
		Label(smaller)
		for next := height - 1; ; next-- {
			if next&(next-1) == 0 { // a power of two, or 0
				height = next
				break
			}
		}
	}
	leave()
}

// evenly is where rows lie: the first one's address, the bytes from one to the next, and three
// times as many.
type evenly struct{ first, step, step3 reg.GPVirtual }

func newEvenly(first, step reg.GPVirtual) evenly {
	step3 := GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, step3)
	return evenly{first, step, step3}
}

// fours returns the addresses of each fourth of n rows.
func (e evenly) fours(n int) []reg.GPVirtual {
	p := make([]reg.GPVirtual, (n+3)/4)
	for i := range p {
		p[i] = GP64()
		if i == 0 {
			MOVQ(e.first, p[i])
		} else {
			LEAQ(Mem{Base: p[i-1], Index: e.step, Scale: 4}, p[i])
		}
	}
	return p
}

// at returns where row r is, of which the fourth row before or at it is given.
func (e evenly) at(four reg.GPVirtual, r, disp int) Mem {
	m := Mem{Base: four, Disp: disp}
	switch r % 4 {
	case 1, 2:
		m.Index, m.Scale = e.step, uint8(r%4)
	case 3:
		m.Index, m.Scale = e.step3, 1
	}
	return m
}

// advance moves the first row on by n, which is even or 1.
func (e evenly) advance(n int) {
	if n == 1 {
		ADDQ(e.step, e.first)
		return
	}
	for ; n >= 8; n -= 8 {
		LEAQ(Mem{Base: e.first, Index: e.step, Scale: 8}, e.first)
	}
	for scale := 4; scale >= 2; scale /= 2 {
		if n&scale != 0 {
			LEAQ(Mem{Base: e.first, Index: e.step, Scale: uint8(scale)}, e.first)
		}
	}
}

// rowsTile adds to as many rows as there are accumulators of.
func (v *vector) rowsTile(args reg.GPVirtual, a evenly, acc [][]reg.VecVirtual, step string) {
	rows, columns := len(acc), len(acc[0])
	fours, b, left := a.fours(rows), GP64(), GP64()
	MOVQ(field(args, rowsB), b)
	MOVQ(field(args, rowsLength), left)
	Label(step)
	for k := range unroll {
		row := v.registers(columns)
		for j := range columns {
			VMOVUPS(Mem{Base: b, Disp: (k*columns + j) * v.bytes}, row[j])
		}
		for r := range rows {
			v.multiplyBroadcast(a.at(fours[r/4], r, 4*k), row, acc[r])
		}
	}
	for _, p := range fours {
		ADDQ(Imm(4*unroll), p)
	}
	ADDQ(U32(unroll*columns*v.bytes), b)
	SUBQ(Imm(unroll), left)
	JNZ(LabelRef(step))
}
