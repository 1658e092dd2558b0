package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of productArgs' fields; a test in package kernel compares them.
const (
	productA          = 0
	productAOffsets   = 8
	productC          = 16
	productCOffsets   = 24
	productB          = 32
	productInit       = 40
	productMask       = 48
	productM          = 56
	productRuns       = 64
	productLength     = 72
	productAStep      = 80
	productAJump      = 88
	productBStep      = 96
	productBJump      = 104
	productFloor      = 112
	productCeiling    = 116
	productRunsLeft   = 120
	productARow       = 128
	productCRow       = 136
	productMLeft      = 144
	productGroups     = 152
	productAGroup     = 160
	productBGroup     = 168
	productGroupsLeft = 176
	productAdd        = 184
	productGate       = 192
	productFetch      = 200
	productPanel      = 208
	productFetchEnd   = 216
	productFetchStep  = 224
)

// cacheLine is the bytes that a prefetch brings.
const cacheLine = 64

// unroll is how many steps of the sum are in a row.
const unroll = 4

// product is the register-tiled matrix product: C[r] (+)= Σ A[r][k]·B[k] for tiles of height rows
// by columns vectors. All accumulators of a tile stay in registers over the whole sum; one step of
// it loads the row B[k] once and broadcasts one element of each row of A.
//
// More columns than a panel has are those of the next one.
func (v *vector) product(name string, height, columns int) {
	v.text(name, "func(args *byte)", "computes args.M rows of a matrix product; see productArgs.")
	var l labels
	args := Load(Param("args"), GP64()).(reg.GPVirtual)
	m := GP64()
	// The cursors are kept apart from the pointers that the garbage collector sees: they end past
	// their tables.
	for _, move := range [][2]int{{productAOffsets, productARow}, {productCOffsets, productCRow},
		{productM, productMLeft}} {
		MOVQ(field(args, move[0]), m)
		MOVQ(m, field(args, move[1]))
	}
	Label("tile")
	MOVQ(field(args, productMLeft), m)
	CMPQ(m, Imm(uint64(height)))
	JGE(LabelRef("rows" + string(rune('0'+height))))
	for rows := height - 1; rows >= 1; rows-- {
		CMPQ(m, Imm(uint64(rows)))
		JEQ(LabelRef("rows" + string(rune('0'+rows))))
	}
	leave()
	for rows := height; rows >= 1; rows-- {
		Label("rows" + string(rune('0'+rows)))
		v.productTile(args, rows, columns, &l)
		if rows < height {
			leave()
			continue
		}
		ADDQ(U32(8*rows), field(args, productARow))
		ADDQ(U32(8*rows), field(args, productCRow))
		SUBQ(U32(rows), field(args, productMLeft))
		JMP(LabelRef("tile"))
	}
}

func (v *vector) productTile(args reg.GPVirtual, rows, columns int, l *labels) {
	acc := make([][]reg.VecVirtual, rows)
	for r := range acc {
		acc[r] = v.registers(columns)
	}
	// pointers fills p with base + offsets[r].
	pointers := func(base, offsets int) []reg.GPVirtual {
		p, table := make([]reg.GPVirtual, rows), GP64()
		MOVQ(field(args, offsets), table)
		for r := range p {
			p[r] = GP64()
			MOVQ(Mem{Base: table, Disp: 8 * r}, p[r])
			ADDQ(field(args, base), p[r])
		}
		return p
	}
	fromC, partialLoad, start := l.next("accumulate"), l.next("partialLoad"), l.next("start")
	initial := GP64()
	MOVQ(field(args, productInit), initial)
	TESTQ(initial, initial)
	JZ(LabelRef(fromC))
	for j := range columns {
		VMOVUPS(Mem{Base: initial, Disp: j * v.bytes}, acc[0][j])
		for r := 1; r < rows; r++ {
			VMOVAPS(acc[0][j], acc[r][j])
		}
	}
	// What is written comes from memory as what is read does: while the sums are made.
	{
		table, c := GP64(), GP64()
		MOVQ(field(args, productCRow), table)
		for r := range rows {
			MOVQ(Mem{Base: table, Disp: 8 * r}, c)
			ADDQ(field(args, productC), c)
			for j := 0; j < columns*v.bytes; j += cacheLine {
				PREFETCHT0(Mem{Base: c, Disp: j})
			}
		}
	}
	JMP(LabelRef(start))
	Label(fromC)
	{
		c, k := pointers(productC, productCRow), GP64()
		MOVQ(field(args, productMask), k)
		TESTQ(k, k)
		JNZ(LabelRef(partialLoad))
		for r := range rows {
			for j := range columns {
				VMOVUPS(Mem{Base: c[r], Disp: j * v.bytes}, acc[r][j])
			}
		}
		JMP(LabelRef(start))
		Label(partialLoad)
		for j := range columns {
			lanes := v.loadMask(Mem{Base: k, Disp: j * v.bytes})
			for r := range rows {
				v.loadMasked(Mem{Base: c[r], Disp: j * v.bytes}, lanes, acc[r][j])
			}
		}
	}
	Label(start)
	a, b, index, left := pointers(productA, productARow), GP64(), GP64(), GP64()
	MOVQ(field(args, productB), b)
	MOVQ(field(args, productGroups), left)
	MOVQ(left, field(args, productGroupsLeft))
	group, run, steps, step, rest, end := l.next("group"), l.next("run"), l.next("steps"), l.next(
		"step"), l.next("rest"), l.next("end")
	// Each step of the sum fetches a line, and each tile goes on behind the one before. Where all is
	// fetched, it is what the tile reads anyway.
	fetch, fetching := GP64(), l.next("fetching")
	MOVQ(field(args, productFetch), fetch)
	MOVQ(field(args, productFetchStep), index)
	CMPQ(fetch, field(args, productFetchEnd))
	JCS(LabelRef(fetching))
	MOVQ(b, fetch)
	XORQ(index, index)
	Label(fetching)
	ADDQ(index, field(args, productFetch))
	XORQ(index, index)
	aStep, bStep := GP64(), GP64()
	MOVQ(field(args, productAStep), aStep)
	MOVQ(field(args, productBStep), bStep)
	// at is the place of a vector of B's row.
	at := func(j int) Mem { return Mem{Base: b, Disp: j * v.bytes} }
	if columns > v.columns {
		panel := GP64()
		MOVQ(field(args, productPanel), panel)
		at = func(j int) Mem {
			if j < v.columns {
				return Mem{Base: b, Disp: j * v.bytes}
			}
			return Mem{Base: b, Index: panel, Scale: 1, Disp: (j - v.columns) * v.bytes}
		}
	}
	Label(group)
	MOVQ(field(args, productRuns), left)
	MOVQ(left, field(args, productRunsLeft))
	Label(run)
	MOVQ(field(args, productLength), left)
	add := func(step int) {
		row := v.registers(columns)
		for j := range columns {
			VMOVUPS(at(j), row[j])
		}
		PREFETCHT1(Mem{Base: fetch, Disp: step * cacheLine})
		for r := range rows {
			v.multiplyBroadcast(Mem{Base: a[r], Index: index, Scale: 1}, row, acc[r])
		}
		ADDQ(aStep, index)
		ADDQ(bStep, b)
	}
	SUBQ(Imm(unroll), left)
	JLT(LabelRef(rest))
	Label(steps)
	for step := range unroll {
		add(step)
	}
	ADDQ(U32(unroll*cacheLine), fetch)
	SUBQ(Imm(unroll), left)
	JGE(LabelRef(steps))
	Label(rest)
	ADDQ(Imm(unroll), left)
	JZ(LabelRef(end))
	Label(step)
	add(0)
	ADDQ(Imm(cacheLine), fetch)
	DECQ(left)
	JNZ(LabelRef(step))
	Label(end)
	ADDQ(field(args, productAJump), index)
	ADDQ(field(args, productBJump), b)
	DECQ(field(args, productRunsLeft))
	JNZ(LabelRef(run))
	ADDQ(field(args, productAGroup), index)
	ADDQ(field(args, productBGroup), b)
	DECQ(field(args, productGroupsLeft))
	JGT(LabelRef(group))

	v.finish(args, acc, pointers, &finishing{
		floor: productFloor, ceiling: productCeiling, add: productAdd, row: productCRow,
		mask: productMask, gate: productGate,
	}, l)
	partialStore, done := l.next("partialStore"), l.next("done")
	c, k := pointers(productC, productCRow), GP64()
	MOVQ(field(args, productMask), k)
	TESTQ(k, k)
	JNZ(LabelRef(partialStore))
	for r := range rows {
		for j := range columns {
			VMOVUPS(acc[r][j], Mem{Base: c[r], Disp: j * v.bytes})
		}
	}
	JMP(LabelRef(done))
	Label(partialStore)
	for j := range columns {
		column := make([]reg.VecVirtual, rows)
		for r := range rows {
			column[r] = acc[r][j]
		}
		v.storeLeading(column, Mem{Base: k, Disp: j * v.bytes}, c, j*v.bytes, l)
	}
	Label(done)
}
