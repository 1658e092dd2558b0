package kernel

import (
	"fmt"
	"math"
)

// DenseConfig describes a fully connected layer, followed by ReLU where asked for.
type DenseConfig struct {
	Batch, In, Out int
	ReLU           bool
}

// Dense is a plan for y = relu(x·Wᵀ + b) and its gradients: x N×In, W Out×In, b Out, y N×Out. A
// plan owns its scratch memory: its methods must not run at the same time as each other.
//
// W is by far the largest operand of a small batch, so each pass reads it where it lies, once:
// forward as yᵀ = W·xᵀ, whose rows of A are those of W, and for the gradient of the input as the B
// of dx = dy·W.
type Dense struct {
	engine Engine
	config DenseConfig

	images, inputs  panels    // columns of xᵀ, and of x
	packed          []float32 // xᵀ, In×N in panels
	columns         []float32 // yᵀ, Out×N
	packedInput     []float32 // panels over the inputs: of W, where its rows are not whole panels, then of x
	gradient        []float32 // dy where ReLU let it through
	gradientColumns []float32 // the same, Out×N
	xOffsets        []int64   // of a row of N×In
	yOffsets        []int64   // of a row of N×Out
	wOffsets        []int64   // of a row of Out×In
	nOffsets        []int64   // of a row of Out×N
	forwardParts    []part
	inputParts      []part
	parameterParts  []part
	biasSums        []float32
	outputs         int // of an item of work
	work            []apart[productArgs]

	sparseForward, sparseInput, sparseParameters sparsePass

	tree  *DenseTree // takes over dw, as that of a shard, unless it is nil
	shard int

	part   *Dense // rounds as this plan does for each of so many shares of the batch, unless it is nil
	shares int

	x, y, w, b, dy, dx, dw []float32

	packTask, forwardTask, packWeightsTask, maskTask, inputTask, packInputTask, gradientTask,
	parametersTask func(worker, item int)
}

const (
	// denseRows is how many rows of the batch are one item of work.
	denseRows = 96
	// gradientOutputs is how many outputs are one item where elements are masked and moved: whole
	// vectors, and a cache line or more.
	gradientOutputs = 64
	// An item has a multiple of outputStep outputs, which every tile height divides, and at most
	// maxOutputs. More of them take fewer calls; fewer share a small layer's work among more threads.
	outputStep, maxOutputs = 24, 192
)

// NewDense returns a plan, or an error that says what is wrong with the configuration.
func NewDense(engine Engine, config DenseConfig) (*Dense, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	f := config
	if f.Batch < 1 || f.In < 1 || f.Out < 1 {
		return nil, fmt.Errorf("kernel: dense layer %+v: sizes must be positive", f)
	}
	if f.In > math.MaxInt32/64/f.Out || f.In > math.MaxInt32/64/f.Batch {
		return nil, fmt.Errorf("kernel: dense layer %+v: too large", f)
	}
	set := engine.Set
	d := &Dense{engine: engine, config: f, images: newPanels(set, f.Batch),
		inputs: newPanels(set, f.In)}
	d.packed, d.columns = aligned(d.images.padded()*f.In), aligned(f.Out*f.Batch)
	d.xOffsets, d.yOffsets = rowOffsets(f.Batch, f.In), rowOffsets(f.Batch, f.Out)
	d.wOffsets, d.nOffsets = rowOffsets(f.Out, f.In), rowOffsets(f.Out, f.Batch)
	d.forwardParts = splitDepth(set, panelBytes, 1, f.In, 0)
	d.inputParts = splitDepth(set, panelBytes, 1, f.Out, 0)
	d.parameterParts = splitDepth(set, panelBytes, 1, f.Batch, 0)
	threads := engine.Pool.Threads()
	d.outputs = min(max(outputStep, f.Out/(2*threads)/outputStep*outputStep), maxOutputs)
	d.work = make([]apart[productArgs], threads)
	d.packTask, d.forwardTask, d.packWeightsTask = d.packItem, d.forwardItem, d.packWeightsItem
	d.maskTask, d.inputTask, d.packInputTask = d.maskItem, d.inputItem, d.packInputItem
	d.gradientTask, d.parametersTask = d.gradientItem, d.parametersItem
	d.sparseForward = newSparsePass(engine, f.Batch, f.In, f.Out, d.transposedWeights, transposedBlock)
	d.sparseInput = newSparsePass(engine, f.Batch, f.Out, f.In, d.weightRows, copiedBlock)
	d.sparseParameters = newSparsePass(engine, f.Out, f.Batch, f.In, d.inputRows, copiedBlock)
	return d, nil
}

// NewDenseOfShares returns plans for a batch of equal shares and for one of them. The whole one's
// Forward and BackwardInput give each share the bits that the other gives it. Whether zeros are
// left out, which sums in another order, hangs on how many there are and in how many rows: the
// share's plan decides it.
func NewDenseOfShares(engine Engine, config DenseConfig, shares int) (whole, share *Dense,
	err error) {
	whole, share, err = ofShares(config.Batch, shares, func(batch, _ int) (*Dense, error) {
		config.Batch = batch
		return NewDense(engine, config)
	})
	if err != nil {
		return nil, nil, err
	}
	whole.part, whole.shares = share, shares
	return whole, share, nil
}

// Size returns how many inputs and outputs the layer has.
func (d *Dense) Size() (in, out int) { return d.config.In, d.config.Out }

func rowOffsets(rows, elements int) []int64 {
	offsets := make([]int64, rows)
	for r := range offsets {
		offsets[r] = int64(4 * r * elements)
	}
	return offsets
}

// Forward computes y from x, w and b.
func (d *Dense) Forward(y, x, w, b []float32) error {
	f := &d.config
	if err := lengths("dense layer", size{"y", len(y), f.Batch * f.Out},
		size{"x", len(x), f.Batch * f.In}, size{"w", len(w), f.Out * f.In}, size{"b", len(b),
			f.Out}); err != nil {
		return err
	}
	if d.part != nil && d.part.sparseForward.densest > 0 {
		for k := range d.shares {
			if err := d.part.Forward(ShareOf(y, k, d.shares), ShareOf(x, k, d.shares), w, b); err != nil {
				return err
			}
		}
		return nil
	}
	d.x, d.y, d.w, d.b = x, y, w, b
	defer d.release()
	if d.part == nil && d.sparseForward.run(y, x, b, f.ReLU) {
		return nil
	}
	d.engine.Pool.Run(d.images.count(), d.packTask)
	d.engine.Pool.Run(ceil(f.Out, d.outputs), d.forwardTask)
	return nil
}

func (d *Dense) release() {
	d.x, d.y, d.w, d.b, d.dy, d.dx, d.dw = nil, nil, nil, nil, nil, nil,
		nil
}

func (d *Dense) packItem(_, panel int) {
	d.images.packTransposed(d.packed[d.images.first(panel)*d.config.In:], d.x, d.config.In, panel)
}

// forwardItem computes some rows of yᵀ, and y's columns of them while they are in the cache.
func (d *Dense) forwardItem(worker, item int) {
	f, p := &d.config, &d.work[worker].own
	output := item * d.outputs
	outputs := min(d.outputs, f.Out-output)
	for o, bias := range d.b[output : output+outputs] {
		row := d.columns[(output+o)*f.Batch:][:f.Batch]
		for n := range row {
			row[n] = bias
		}
	}
	for k, part := range d.forwardParts {
		for panel := range d.images.count() {
			width, first := d.images.width(panel), d.images.first(panel)
			*p = productArgs{
				A: pointer(d.w[part.bRow:]), AOffsets: &d.wOffsets[output], C: pointer(d.columns[first:]),
				COffsets: &d.nOffsets[output],
				B:        pointer(d.packed[first*f.In+part.bRow*width:]), Mask: d.images.mask(panel),
				M: outputs, Runs: 1, Length: part.length, AStep: 4, BStep: 4 * width, Floor: nan32,
			}
			if k == len(d.forwardParts)-1 {
				p.Floor = floor(f.ReLU)
			}
			d.engine.Set.productPanel(p, width)
		}
	}
	transposeMatrix(d.engine.Set, d.y[output:], f.Out, d.columns[output*f.Batch:], f.Batch, outputs,
		f.Batch)
}

// BackwardParameters computes dw, unless SumIn has left it to a tree, and, unless it is nil, db
// from dy and x. y is Forward's output; only a plan with ReLU reads it.
func (d *Dense) BackwardParameters(dw, db, dy, y, x []float32) error {
	f := &d.config
	if err := lengths("gradient of dense parameters", size{"dw", len(dw), f.Out * f.In},
		optional("db", db, f.Out), size{"x", len(x), f.Batch * f.In}); err != nil {
		return err
	}
	if err := d.gradients(dy, y); err != nil {
		return err
	}
	d.x, d.dw = x, dw
	defer d.release()
	if d.gradientColumns == nil {
		d.gradientColumns = aligned(f.Out * f.Batch)
		d.biasSums = aligned(f.Out)
	}
	d.engine.Pool.Run(ceil(f.Out, gradientOutputs), d.gradientTask)
	copy(db, d.biasSums)
	if d.tree != nil {
		d.tree.take(d)
		return nil
	}
	if d.sparseParameters.run(dw, d.gradientColumns, nil, false) {
		return nil
	}
	d.prepare()
	d.engine.Pool.Run(d.inputs.count(), d.packInputTask)
	d.engine.Pool.Run(ceil(f.Out, d.outputs), d.parametersTask)
	return nil
}

// gradients takes dy, and y where ReLU has to be passed, for a backward pass.
func (d *Dense) gradients(dy, y []float32) error {
	n := d.config.Batch * d.config.Out
	if err := lengths("gradient of dense layer", size{"dy", len(dy), n}); err != nil {
		return err
	}
	d.dy = dy
	if !d.config.ReLU {
		return nil
	}
	if err := lengths("gradient of dense layer", size{"y", len(y), n}); err != nil {
		return err
	}
	d.y = y
	if d.gradient == nil {
		d.gradient = aligned(n)
	}
	return nil
}

// gradientItem computes some rows of dyᵀ, which ReLU has let through, and their sums, those of the
// bias. Each sum is taken in the order of the images, however the outputs are shared out.
func (d *Dense) gradientItem(_, item int) {
	f, set := &d.config, d.engine.Set
	first := item * gradientOutputs
	outputs := min(gradientOutputs, f.Out-first)
	source, sums := d.dy, d.biasSums[first:first+outputs]
	clear(sums)
	for n := range f.Batch {
		row := d.dy[n*f.Out+first:][:outputs]
		if f.ReLU {
			passed := d.gradient[n*f.Out+first:][:outputs]
			set.reluGradients(passed, row, d.y[n*f.Out+first:][:outputs])
			row = passed
		}
		set.addScaledSlice(sums, row, 1)
	}
	if f.ReLU {
		source = d.gradient
	}
	transposeMatrix(set, d.gradientColumns[first*f.Batch:], f.Batch, source[first:], f.Out, f.Batch,
		outputs)
}

// maskItem computes what ReLU lets through of some rows of dy.
func (d *Dense) maskItem(_, item int) {
	f := &d.config
	first, last := item*denseRows*f.Out, min((item+1)*denseRows, f.Batch)*f.Out
	d.engine.Set.reluGradients(d.gradient[first:last], d.dy[first:last], d.y[first:last])
}

func (d *Dense) prepare() {
	if d.packedInput == nil {
		rows := d.config.Batch
		if !d.whole() {
			rows = max(rows, d.config.Out)
		}
		d.packedInput = aligned(d.inputs.padded() * rows)
	}
}

func (d *Dense) packInputItem(_, panel int) {
	d.inputs.packRows(d.packedInput[d.inputs.first(panel)*d.config.Batch:], d.x, d.config.Batch,
		d.config.In, panel)
}

func (d *Dense) parametersItem(worker, item int) {
	f := &d.config
	output := item * d.outputs
	p := &d.work[worker].own
	for panel := range d.inputs.count() {
		width, first := d.inputs.width(panel), d.inputs.first(panel)
		for k, part := range d.parameterParts {
			*p = productArgs{
				A: pointer(d.gradientColumns[part.bRow:]), AOffsets: &d.nOffsets[output],
				C: pointer(d.dw[first:]), COffsets: &d.wOffsets[output],
				B: pointer(d.packedInput[first*f.Batch+part.bRow*width:]), Mask: d.inputs.mask(panel),
				M: min(d.outputs, f.Out-output), Runs: 1, Length: part.length, AStep: 4, BStep: 4 * width,
				Floor: nan32,
			}
			if k == 0 {
				p.Init = pointer(d.inputs.zeros)
			}
			d.engine.Set.productPanel(p, width)
		}
	}
}

// BackwardInput computes dx from dy and w. y is as in BackwardParameters.
func (d *Dense) BackwardInput(dx, dy, y, w []float32) error {
	f := &d.config
	if err := lengths("gradient of dense input", size{"dx", len(dx), f.Batch * f.In},
		size{"w", len(w), f.Out * f.In}); err != nil {
		return err
	}
	if d.part != nil && d.part.sparseInput.densest > 0 {
		return d.backwardShares(dx, dy, y, w)
	}
	if err := d.gradients(dy, y); err != nil {
		return err
	}
	d.dx, d.w = dx, w
	defer d.release()
	if f.ReLU {
		d.engine.Pool.Run(ceil(f.Batch, denseRows), d.maskTask)
		d.dy = d.gradient
	}
	if d.part == nil && d.sparseInput.run(dx, d.dy, nil, false) {
		return nil
	}
	d.prepare()
	if !d.whole() {
		d.engine.Pool.Run(d.inputs.count(), d.packWeightsTask)
	}
	d.engine.Pool.Run(d.inputs.count()*ceil(f.Batch, denseRows), d.inputTask)
	return nil
}

// backwardShares has the part's plan compute dx.
func (d *Dense) backwardShares(dx, dy, y, w []float32) error {
	n := d.config.Batch * d.config.Out
	if err := lengths("gradient of dense layer", size{"dy", len(dy), n}); err != nil {
		return err
	}
	if d.config.ReLU {
		if err := lengths("gradient of dense layer", size{"y", len(y), n}); err != nil {
			return err
		}
	}
	for k := range d.shares {
		if err := d.part.BackwardInput(ShareOf(dx, k, d.shares), ShareOf(dy, k, d.shares),
			ShareOf(y, k, d.shares), w); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dense) packWeightsItem(_, panel int) {
	d.inputs.packRows(d.packedInput[d.inputs.first(panel)*d.config.Out:], d.w, d.config.Out,
		d.config.In, panel)
}

// whole reports whether rows of W are whole panels, which are read where they are; others are
// packed, since the last panel of the last row would be read past its end.
func (d *Dense) whole() bool { return d.config.In%d.engine.Set.panel() == 0 }

// inputItem computes some rows of one panel of dx.
func (d *Dense) inputItem(worker, item int) {
	f, p := &d.config, &d.work[worker].own
	panel, row := item%d.inputs.count(), item/d.inputs.count()*denseRows
	width, first := d.inputs.width(panel), d.inputs.first(panel)
	b, bRow := d.w[first:], f.In
	if !d.whole() {
		b, bRow = d.packedInput[first*f.Out:], width
	}
	for k, part := range d.inputParts {
		*p = productArgs{
			A: pointer(d.dy[part.bRow:]), AOffsets: &d.yOffsets[row], C: pointer(d.dx[first:]),
			COffsets: &d.xOffsets[row],
			B:        pointer(b[part.bRow*bRow:]), Mask: d.inputs.mask(panel),
			M: min(denseRows, f.Batch-row), Runs: 1, Length: part.length, AStep: 4, BStep: 4 * bRow,
			Floor: nan32,
		}
		if k == 0 {
			p.Init = pointer(d.inputs.zeros)
		}
		d.engine.Set.productPanel(p, width)
	}
}

// transposeMatrix writes the transpose of a rows×columns matrix. Its rows are sourceStep elements
// apart, those of the transpose targetStep.
func transposeMatrix(set *Set, target []float32, targetStep int, source []float32, sourceStep, rows,
	columns int) {
	whole := 0
	if columns >= 8 {
		for ; whole+8 <= rows; whole += 8 {
			set.transpose8(&target[whole], 4*targetStep, &source[whole*sourceStep], 4*sourceStep, columns/8)
			for r := whole; r < whole+8; r++ {
				for k := columns &^ 7; k < columns; k++ {
					target[k*targetStep+r] = source[r*sourceStep+k]
				}
			}
		}
	}
	for r := whole; r < rows; r++ {
		for k := range columns {
			target[k*targetStep+r] = source[r*sourceStep+k]
		}
	}
}
