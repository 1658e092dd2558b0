package kernel

import "fmt"

// DenseTree is a plan for the gradient of a dense layer's weights over the shards of a batch, which
// are added up in a binary tree, neighbours first. A shard of few images has as many gradients as
// all of them: here they are computed again when they are added up, tile by tile, and no shard's
// are ever in memory as a whole.
type DenseTree struct {
	engine  Engine
	in, out int
	inputs  panels
	offsets []int64 // of a tile's rows, of a full panel, and of a narrow one
	narrow  []int64
	shards  []denseShard
	work    []apart[denseTile]
	task    func(worker, item int)

	dw      []float32
	weights []float32
	after   float32
}

// denseShard is what a shard's gradient is made of.
type denseShard struct {
	batch           int // images, 0 if it has none
	columns, packed []float32
	offsets         []int64
	parts           []part
}

// denseTile is a thread's memory.
type denseTile struct {
	args   productArgs
	tiles  [][]float32 // by shard
	scaled []float32
}

// DenseTreeLeast is how many weights a dense layer has, at least, of which the gradient of all
// shards is computed together: of fewer, each shard's is near the cores when it is added up.
const DenseTreeLeast = 1 << 14

// denseTileRows is how many outputs a tile has, at most: a multiple of all tile heights.
const denseTileRows = outputStep

// NewDenseTree returns the plan of so many shards, a power of two, of a layer.
func NewDenseTree(engine Engine, in, out, shards int) (*DenseTree, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	if in < 1 || out < 1 || shards < 1 || shards&(shards-1) != 0 {
		return nil, fmt.Errorf(
			"kernel: gradients of a dense layer of %d inputs and %d outputs over %d shards",
			in, out, shards)
	}
	set := engine.Set
	t := &DenseTree{
		engine: engine, in: in, out: out, inputs: newPanels(set, in), shards: make([]denseShard, shards),
		offsets: rowOffsets(denseTileRows, set.panel()), narrow: rowOffsets(denseTileRows, set.lanes),
	}
	t.work = make([]apart[denseTile], engine.Pool.Threads())
	for i := range t.work {
		own := &t.work[i].own
		for range shards {
			own.tiles = append(own.tiles, aligned(denseTileRows*engine.Set.panel()))
		}
		own.scaled = aligned(denseTileRows * engine.Set.panel())
	}
	t.task = t.item
	return t, nil
}

// SumIn has BackwardParameters leave dw to a tree, of which this call is a shard; nil ends that.
func (d *Dense) SumIn(tree *DenseTree, shard int) error {
	if f := d.config; tree != nil && (tree.in != f.In || tree.out != f.Out || shard < 0 ||
		shard >= len(tree.shards)) {
		return fmt.Errorf("kernel: shard %d of %d of a dense layer %+v in a tree of %d×%d", shard,
			len(tree.shards), f, tree.out, tree.in)
	}
	d.tree, d.shard = tree, shard
	return nil
}

// Skip says that a shard has no image.
func (t *DenseTree) Skip(shard int) { t.shards[shard].batch = 0 }

// take keeps what a shard's dw is made of: dyᵀ, and x.
func (t *DenseTree) take(d *Dense) {
	s, batch := &t.shards[d.shard], d.config.Batch
	if cap(s.columns) < t.out*batch {
		s.columns, s.packed = aligned(t.out*batch), aligned(t.inputs.padded()*batch)
	}
	if s.batch != batch {
		s.batch, s.offsets, s.parts = batch, rowOffsets(t.out, batch), d.parameterParts
	}
	s.columns = s.columns[:t.out*batch]
	copy(s.columns, d.gradientColumns)
	for panel := range t.inputs.count() {
		t.inputs.packRows(s.packed[t.inputs.first(panel)*batch:], d.x, batch, t.in, panel)
	}
}

// Run computes dw: each shard's times its weight, rounded, and the sum of all times after.
func (t *DenseTree) Run(dw, weights []float32, after float32) error {
	if err := lengths("gradient of dense parameters in shards", size{"dw", len(dw), t.out * t.in},
		size{"weights", len(weights), len(t.shards)}); err != nil {
		return err
	}
	t.dw, t.weights, t.after = dw, weights, after
	t.engine.Pool.Run(ceil(t.out, denseTileRows), t.task)
	t.dw, t.weights = nil, nil
	return nil
}

// item computes some rows of dw.
func (t *DenseTree) item(worker, item int) {
	own, set := &t.work[worker].own, t.engine.Set
	output := item * denseTileRows
	rows := min(denseTileRows, t.out-output)
	for panel := range t.inputs.count() {
		width, first := t.inputs.width(panel), t.inputs.first(panel)
		n := rows * width
		for i := range t.shards {
			t.tile(own, i, panel, output, rows)
			t.scale(own, own.tiles[i][:n], t.weights[i])
		}
		for step := 1; step < len(t.shards); step *= 2 {
			for i := 0; i < len(t.shards); i += 2 * step {
				set.addScaledSlice(own.tiles[i][:n], own.tiles[i+step][:n], 1)
			}
		}
		sum := own.tiles[0][:n]
		t.scale(own, sum, t.after)
		columns := t.inputs.columns(panel)
		for r := range rows {
			copy(t.dw[(output+r)*t.in+first:][:columns], sum[r*width:])
		}
	}
}

// tile computes a shard's gradients of some outputs and a panel of inputs.
func (t *DenseTree) tile(own *denseTile, shard, panel, output, rows int) {
	s, tile := &t.shards[shard], own.tiles[shard]
	width, first := t.inputs.width(panel), t.inputs.first(panel)
	if s.batch == 0 {
		clear(tile[:rows*width])
		return
	}
	offsets := t.offsets
	if width < t.engine.Set.panel() {
		offsets = t.narrow
	}
	for k, part := range s.parts {
		own.args = productArgs{
			A: pointer(s.columns[part.bRow:]), AOffsets: &s.offsets[output],
			C: pointer(tile), COffsets: &offsets[0],
			B: pointer(s.packed[first*s.batch+part.bRow*width:]), Mask: t.inputs.mask(panel),
			M: rows, Runs: 1, Length: part.length, AStep: 4, BStep: 4 * width, Floor: nan32,
		}
		if k == 0 {
			own.args.Init = pointer(t.inputs.zeros)
		}
		t.engine.Set.productPanel(&own.args, width)
	}
}

func (t *DenseTree) scale(own *denseTile, x []float32, factor float32) {
	if factor == 1 {
		return
	}
	scaled := own.scaled[:len(x)]
	clear(scaled)
	t.engine.Set.addScaledSlice(scaled, x, factor)
	copy(x, scaled)
}
