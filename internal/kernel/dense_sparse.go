package kernel

// What a dense layer reads is often zero: the background of an image, and what ReLU has cut off of
// the layer before or of the gradient. Where there is enough of it, the passes leave it out.

// sparsePass is a pass of a layer, a product C = A·B, that may leave A's zeros out.
type sparsePass struct {
	engine               Engine
	rows, depth, columns int
	fill                 fillBlock
	densest              float64        // share of A's elements that are not zero up to which leaving out the others is faster
	product              *sparseProduct // made the first time
}

// What it costs to fill a block, by what it saves for a row of C: measured on a Zen 5 with both
// kernel sets. Where every row is worth little, that is most of the work.
const (
	copiedBlock     = 2
	transposedBlock = 9
)

func newSparsePass(engine Engine, rows, depth, columns int, fill fillBlock,
	fillCost float64) sparsePass {
	p := sparsePass{engine: engine, rows: rows, depth: depth, columns: columns, fill: fill}
	if sparseSize(engine.Set, rows, depth, columns) {
		p.densest = 0.55 - fillCost/float64(rows)
	}
	return p
}

// run computes C, if that is faster than with the zeros, and reports whether it has. This depends
// on nothing but the data, so that results do not depend on the machine.
func (p *sparsePass) run(c, a, start []float32, relu bool) bool {
	if p.densest <= 0 || density(a, p.rows, p.depth) > p.densest {
		return false
	}
	if p.product == nil {
		p.product = newSparseProduct(p.engine, p.rows, p.depth, p.columns, p.fill)
	}
	p.product.run(c, a, start, relu)
	return true
}

// transposedWeights copies a block of Wᵀ.
func (d *Dense) transposedWeights(block []float32, pitch, k, depth int, s *strip) {
	in := d.config.In
	transposeMatrix(d.engine.Set, block, pitch, d.w[s.first*in+k:], in, s.columns, depth)
}

// weightRows copies a block of W.
func (d *Dense) weightRows(block []float32, pitch, k, depth int, s *strip) {
	copyRows(block, pitch, d.w[k*d.config.In+s.first:], d.config.In, depth, s.columns)
}

// inputRows copies a block of x.
func (d *Dense) inputRows(block []float32, pitch, k, depth int, s *strip) {
	copyRows(block, pitch, d.x[k*d.config.In+s.first:], d.config.In, depth, s.columns)
}

func copyRows(target []float32, targetStep int, source []float32, sourceStep, rows, columns int) {
	for r := range rows {
		copy(target[r*targetStep:][:columns], source[r*sourceStep:])
	}
}
