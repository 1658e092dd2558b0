package kernel

import (
	"math"
	"unsafe"
)

// sparseProduct is a plan for C = start + A·B, row by row, where many elements of A are zero: it
// lists those that are not and leaves the products with the others out. A is rows×depth, B
// depth×columns, C rows×columns.
//
// B is gone through in blocks that stay in the first-level cache: some of its rows, by a strip of
// its columns as wide as a row of C has registers for. Each thread copies a block together, and
// takes all its rows of C through it. So an element of A that is not zero costs a load of its place
// and value, and one multiply-add with a vector from the cache for each vector of the strip.
//
// Zero times infinity or NaN is NaN: a block that has one is multiplied in full.
type sparseProduct struct {
	engine               Engine
	rows, depth, columns int
	blockDepth           int // rows of B in a block
	strips               []strip
	pitch                int // of a block's row, in elements
	tileRows             int // rows of C that are one item of work

	items   []item    // by row
	lists   []list    // by block and row
	zeros   []float32 // a row of C to start from
	bias    []float32 // another
	threads []apart[sparseThread]

	fill fillBlock

	a, c, start []float32
	relu        bool

	listTask, productTask func(worker, item int)
}

// fillBlock copies depth rows of B from row k on, a strip of columns of each, to rows of a block
// that are pitch elements apart.
type fillBlock func(block []float32, pitch, k, depth int, s *strip)

// strip is some columns of B and C.
type strip struct {
	first, columns, vectors int
	mask                    []int32 // of the last vector's lanes; nil where all exist
}

type sparseThread struct {
	block []float32
	sums  []float32
	args  sparseRowArgs
}

const (
	// sparseBlockDepth rows of stripVectors of the widest vectors are 40 KB.
	sparseBlockDepth = 80
	stripVectors     = 8
	// listRows is how many rows of A are listed as one item of work.
	listRows = 8
	// listSlack is how many items may be written past the end of a list.
	listSlack = 16
)

// sparseSize reports whether a product of that size could gain from leaving zeros out, if there
// were many.
func sparseSize(set *Set, rows, depth, columns int) bool {
	const smallestRows, smallestDepth, smallestVectors, smallestProducts = 16, 16, 4, 2 << 20
	return rows >= smallestRows && depth >= smallestDepth && columns >= smallestVectors*set.lanes &&
		int64(rows)*int64(depth)*int64(columns) >= smallestProducts &&
		8*int64(rows)*int64(depth+listSlack) <= math.MaxInt32
}

func newSparseProduct(engine Engine, rows, depth, columns int, fill fillBlock) *sparseProduct {
	p := &sparseProduct{engine: engine, rows: rows, depth: depth, columns: columns, fill: fill}
	lanes, threads := engine.Set.lanes, engine.Pool.Threads()
	blocks := ceil(depth, sparseBlockDepth)
	p.blockDepth = ceil(ceil(depth, blocks), 8) * 8 // a multiple of what is transposed at a time
	vectors := ceil(columns, lanes)
	count := ceil(vectors, stripVectors)
	for i := range count {
		first, end := i*vectors/count, (i+1)*vectors/count
		s := strip{first: first * lanes, columns: min(end*lanes, columns) - first*lanes,
			vectors: end - first}
		if rest := s.columns % lanes; rest != 0 {
			s.mask = make([]int32, lanes)
			for l := range rest {
				s.mask[l] = -1
			}
		}
		p.strips = append(p.strips, s)
		p.pitch = max(p.pitch, s.vectors*lanes)
	}
	// More tiles than one copy each block as often; fewer leave threads without work.
	const fewestRows = 16
	tiles := 1
	for count*tiles%threads != 0 && count*tiles < 4*threads && ceil(rows, tiles+1) >= fewestRows {
		tiles++
	}
	p.tileRows = ceil(rows, tiles)
	p.items = make([]item, rows*(depth+listSlack))
	p.lists = make([]list, ceil(depth, p.blockDepth)*rows)
	p.zeros, p.bias = aligned(columns), aligned(columns)
	p.threads = make([]apart[sparseThread], threads)
	for i := range p.threads {
		p.threads[i].own.block, p.threads[i].own.sums = aligned(p.blockDepth*p.pitch+4*lanes), aligned(
			2*lanes)
	}
	p.listTask, p.productTask = p.listItem, p.productItem
	return p
}

// density returns the share of a matrix' elements that are not zero, by some of its rows.
func density(a []float32, rows, depth int) float64 {
	const samples = 1024
	step := max(rows*depth/samples, 1)
	count, of := 0, 0
	for r := 0; r < rows; r += step {
		for _, v := range a[r*depth : (r+1)*depth] {
			count += nonZero(v)
		}
		of += depth
	}
	return float64(count) / float64(of)
}

// nonZero returns 1, or 0 for zero of either sign, without a branch.
func nonZero(v float32) int {
	bits := int32(math.Float32bits(v) << 1)
	return int(uint32(bits|-bits) >> 31)
}

// run computes C, each row of which begins with bias, or with zeros if that is nil, and is
// rectified if relu says so.
func (p *sparseProduct) run(c, a, bias []float32, relu bool) {
	p.c, p.a, p.start, p.relu = c, a, p.zeros, relu
	if bias != nil {
		copy(p.bias, bias) // vectors are read past its end
		p.start = p.bias
	}
	p.engine.Pool.Run(ceil(p.rows, listRows), p.listTask)
	p.engine.Pool.Run(len(p.strips)*ceil(p.rows, p.tileRows), p.productTask)
	p.c, p.a, p.start = nil, nil, nil
}

// listItem lists the elements of some rows of A that are not zero, with the places of the block's
// rows that they scale. A row's lists lie side by side, in as little memory as they take.
func (p *sparseProduct) listItem(_, at int) {
	for row := at * listRows; row < min((at+1)*listRows, p.rows); row++ {
		start := row * (p.depth + listSlack)
		for k, block := 0, row; k < p.depth; k, block = k+p.blockDepth, block+p.rows {
			values := p.a[row*p.depth+k : row*p.depth+min(k+p.blockDepth, p.depth)]
			count := p.engine.Set.listSlice(p.items[start:], values, 4*p.pitch)
			p.lists[block] = list{int32(8 * start), int32(count)}
			start += count
		}
	}
}

// productItem computes a strip of some rows of C.
func (p *sparseProduct) productItem(worker, at int) {
	s, row := &p.strips[at%len(p.strips)], at/len(p.strips)*p.tileRows
	rows := min(p.tileRows, p.rows-row)
	thread := &p.threads[worker].own
	for k, block := 0, row; k < p.depth; k, block = k+p.blockDepth, block+p.rows {
		depth := min(p.blockDepth, p.depth-k)
		p.fill(thread.block, p.pitch, k, depth, s)
		p.clearRest(thread.block, depth, s)
		args := &thread.args
		*args = sparseRowArgs{
			C: pointer(p.c[row*p.columns+s.first:]), CStep: 4 * p.columns, B: pointer(thread.block),
			Lists: &p.lists[block], Items: &p.items[0],
			Rows: rows, Mask: unsafe.Pointer(unsafe.SliceData(s.mask)), Floor: nan32,
		}
		if k == 0 {
			args.Start = pointer(p.start[s.first:])
		}
		if k+depth == p.depth {
			args.Floor = floor(p.relu)
		}
		if p.finite(thread, depth) {
			p.engine.Set.sparseRow(s.vectors, args)
		} else {
			p.multiplyAll(args, k, depth, s, row)
		}
	}
}

// clearRest clears what finite reads of a block beyond its elements. What an earlier block has left
// there depends on which thread computed which.
func (p *sparseProduct) clearRest(block []float32, depth int, s *strip) {
	if s.columns < p.pitch {
		for r := range depth {
			clear(block[r*p.pitch+s.columns : (r+1)*p.pitch])
		}
	}
	clear(block[depth*p.pitch : p.summed(depth)])
}

// summed is how many elements finite reads: as many as the sums take at a time.
func (p *sparseProduct) summed(depth int) int {
	step := 4 * p.engine.Set.lanes
	return ceil(depth*p.pitch, step) * step
}

// finite reports whether a block has neither infinities nor NaN, with which the sum of magnitudes
// would not be finite. A sum of finite numbers that overflows is taken for one with them.
func (p *sparseProduct) finite(thread *sparseThread, depth int) bool {
	p.engine.Set.sums(&thread.sums[0], &thread.block[0], p.summed(depth))
	for _, sum := range thread.sums[:p.engine.Set.lanes] {
		if !(sum <= math.MaxFloat32) {
			return false
		}
	}
	return true
}

// multiplyAll does what the kernel does, with every element of A, zeros too.
func (p *sparseProduct) multiplyAll(args *sparseRowArgs, k, depth int, s *strip, row int) {
	for r := row; r < row+args.Rows; r++ {
		line := p.c[r*p.columns+s.first:][:s.columns]
		if k == 0 {
			copy(line, p.start[s.first:])
		}
		for i, v := range p.a[r*p.depth+k:][:depth] {
			for j, b := range floats((*float32)(unsafe.Add(args.B, 4*i*p.pitch)), len(line)) {
				line[j] += v * b
			}
		}
		for j, v := range line {
			if v < args.Floor {
				line[j] = args.Floor
			}
		}
	}
}
