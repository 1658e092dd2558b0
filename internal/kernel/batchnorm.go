package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// BatchNormConfig describes batch normalisation of rows of channels: a row for each position of
// each image.
type BatchNormConfig struct {
	Rows, Channels int
	// Epsilon is added to the variance.
	Epsilon float64
	// Batch normalises with the batch's own statistics. Otherwise they are given.
	Batch bool
	// Low and High bound the result, as ReLU (0 and NaN) and ReLU6 (0 and 6) do; NaN does not bound.
	Low, High float32
	// Sync, unless nil, makes of the statistics of these rows those of a batch that is computed in
	// several parts.
	Sync BatchSync
	// Shards, where they are several, are equal parts of the batch in the rows, one behind the
	// other: what is summed over rows is so over each part by itself, to the bits that it has where
	// the part is a plan's batch, and brought together by Sync. Their number is a power of two.
	Shards int
}

// BatchSync brings together what one normalisation has summed over the parts of a batch: a plan has
// one of them, or several equal ones. Its methods return once all plans have called them.
type BatchSync interface {
	// Moments takes the mean and the variance of each channel over a part's rows, the plan's parts
	// one behind the other. It replaces the first part's by those over all rows of the batch, whose
	// number it returns.
	Moments(rows int, mean, variance []float64) (all int, err error)
	// Sums takes two sums of each channel over a part's gradients, those of the mean loss over the
	// part, likewise. It replaces the first part's by those over the batch's gradients, in the same
	// measure: Σ rowsₖ·sumₖ over the parts, divided by the part's rows.
	Sums(rows int, first, second []float64) error
}

// BatchNorm is a plan for y = clamp(γ·(x − μ)/√(σ² + ε) + β) and its gradients, rows of x and y
// being channels. Sums are taken in float64, of the rows of an item in their order, and over the
// items in theirs, so that they do not depend on the threads. A plan owns its scratch memory: its
// methods must not run at the same time as each other. Backward belongs to the last Forward and
// must be given the same x and γ.
type BatchNorm struct {
	engine Engine
	config BatchNormConfig

	mean, variance []float64 // of the statistics: the first part's place among the moments
	moments        [2][]float64
	centre         []float32 // what is subtracted from x: near the mean, or it
	centres        []float32 // of the parts, while they are guesses
	parts          int       // of the rows that are summed by themselves
	each           int       // items of a part
	rows           int       // of an item
	block          int       // of a call that sums: they stay in the first-level cache
	items          int
	segments       []segment
	partial        []float64    // by item: the segments' sums, one after the other
	sums           [2][]float64 // by part
	all            int          // rows that the statistics are of
	allSums        [2][]float64 // of the gradient over them: sums, unless there is a Sync
	table          []float32
	guesses        [][]float32 // by part: the table with its centre
	work           []apart[normaliseArgs]
	tree           *ShardSum // of the parts' gradients of a parameter, nil where there is one
	after          float32

	measured, measuredGradients *measured // nil unless another plan takes the sums

	x, y, z, dy []float32
	gradient    bool
	low         float32
	taken       taking // of the gradient that comes next

	sumTask, rowTask, sumRowTask, reluTask func(worker, item int)
}

// taking says where a gradient's sums are before PrepareBackward: nowhere, in partial since its
// ReLU, or with the images since the plan that reads what is normalised.
type taking int

const (
	notTaken taking = iota
	takenByReLU
	takenByReader
)

// segment is some channels of all rows: whole vectors, or single channels behind them.
type segment struct {
	first, lanes, vectors int
	passes                *normalisePasses
}

const (
	// normaliseElements is how many elements a call sums, half of the first-level cache.
	normaliseElements = 4 << 10
	// normaliseItems is at most how many items of work there are.
	normaliseItems = 128
	// centreRows is of how many rows the values' centre is guessed, before their mean is known.
	centreRows = 16
)

// NewBatchNorm returns a plan, or an error that says what is wrong with the configuration.
func NewBatchNorm(engine Engine, config BatchNormConfig) (*BatchNorm, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	f := config
	if f.Rows < 1 || f.Channels < 1 || !(f.Epsilon > 0) {
		return nil, fmt.Errorf("kernel: batch normalisation %+v: sizes and epsilon must be positive", f)
	}
	if f.Rows > maxElements/f.Channels {
		return nil, fmt.Errorf("kernel: batch normalisation %+v: too large", f)
	}
	engine.Set = engine.Set.forWholeVectors(f.Channels)
	b := &BatchNorm{engine: engine, config: f, parts: max(1, f.Shards), after: 1}
	if err := b.divide(); err != nil {
		return nil, err
	}
	lanes := engine.Set.lanes
	if vectors := f.Channels / lanes; vectors > 0 {
		b.segments = append(b.segments, segment{0, lanes, vectors, &engine.Set.normalise})
	}
	if rest := f.Channels % lanes; rest > 0 {
		single := portableNormalise(1)
		b.segments = append(b.segments, segment{f.Channels - rest, 1, rest, &single})
	}
	pair := func() [2][]float64 {
		return [2][]float64{make([]float64, b.parts*f.Channels), make([]float64, b.parts*f.Channels)}
	}
	b.moments, b.centres, b.sums = pair(), make([]float32, b.parts*f.Channels), pair()
	b.mean, b.variance, b.centre = b.moments[0][:f.Channels], b.moments[1][:f.Channels],
		b.centres[:f.Channels]
	b.allSums = b.sums
	if f.Sync != nil {
		b.allSums = pair()
	}
	b.partial = make([]float64, b.items*2*f.Channels)
	b.table = aligned(normaliseTable * f.Channels)
	b.guesses = [][]float32{b.table}
	for len(b.guesses) < b.parts {
		b.guesses = append(b.guesses, aligned(normaliseTable*f.Channels))
	}
	b.work = make([]apart[normaliseArgs], engine.Pool.Threads())
	b.sumTask, b.rowTask, b.sumRowTask, b.reluTask = b.sumItem, b.rowItem, b.sumRowItem, b.reluItem
	return b, nil
}

// Statistics returns the mean and the variance of each channel that the last Forward normalised
// with.
func (b *BatchNorm) Statistics() (mean, variance []float64) { return b.mean, b.variance }

// StatisticsRows returns of how many rows the statistics are: more than the plan's own where a Sync
// has brought others.
func (b *BatchNorm) StatisticsRows() int { return b.all }

// Forward computes y from x. mean and variance are the statistics that a plan without the batch's
// own takes.
func (b *BatchNorm) Forward(y, x, weight, bias, mean, variance []float32) error {
	if err := lengths("batch normalisation",
		size{"y", len(y), b.config.Rows * b.config.Channels}); err != nil {
		return err
	}
	if err := b.Prepare(x, weight, bias, mean, variance); err != nil {
		return err
	}
	b.x, b.y, b.gradient = x, y, false
	defer b.release()
	b.engine.Pool.Run(b.items, b.rowTask)
	return nil
}

// ForwardSum computes y = max(γ·(x − μ)/√(σ² + ε) + β + z, low), NaN for low bounding nothing: the
// end of a residual block. A plan that clamps cannot. The gradients are those of the normalisation
// alone, of dy where y is above low.
func (b *BatchNorm) ForwardSum(y, x, z, weight, bias, mean, variance []float32, low float32) error {
	n := b.config.Rows * b.config.Channels
	if err := lengths("batch normalisation with a sum", size{"y", len(y), n},
		size{"z", len(z), n}); err != nil {
		return err
	}
	if b.config.Low == b.config.Low || b.config.High == b.config.High {
		return fmt.Errorf("kernel: batch normalisation %+v: it clamps what is to be added up", b.config)
	}
	if err := b.Prepare(x, weight, bias, mean, variance); err != nil {
		return err
	}
	b.x, b.y, b.z, b.low = x, y, z, low
	defer b.release()
	b.engine.Pool.Run(b.items, b.sumRowTask)
	return nil
}

// Prepare takes the statistics of x, as Forward does, and leaves it to another plan to normalise
// its rows as it reads them (see Conv2D.NormaliseBefore).
func (b *BatchNorm) Prepare(x, weight, bias, mean, variance []float32) error {
	n, c := b.config.Rows*b.config.Channels, b.config.Channels
	if err := lengths("batch normalisation", size{"x", len(x), n}, size{"weight", len(weight), c},
		size{"bias", len(bias), c}, size{"mean", len(mean), c}, size{"variance", len(variance),
			c}); err != nil {
		return err
	}
	b.x, b.gradient = x, false
	defer b.release()
	switch {
	case b.config.Batch && b.measured != nil:
		b.combine(b.measured)
	case b.config.Batch:
		b.guess()
		b.sum()
		for i, centre := range b.centres {
			first := b.sums[0][i] / float64(b.partRows())
			b.moments[0][i] = float64(centre) + first
			b.moments[1][i] = max(b.sums[1][i]/float64(b.partRows())-first*first, 0)
		}
	default:
		for i := range b.mean {
			b.mean[i], b.variance[i] = float64(mean[i]), float64(variance[i])
		}
	}
	b.all = b.config.Rows
	if b.config.Batch && b.config.Sync != nil {
		all, err := b.config.Sync.Moments(b.partRows(), b.moments[0], b.moments[1])
		if err != nil {
			return fmt.Errorf("batch normalisation over the parts of a batch: %w", err)
		}
		b.all = all
	}
	for i := range b.mean {
		b.centre[i] = float32(b.mean[i])
		scale := float64(weight[i]) / math.Sqrt(b.variance[i]+b.config.Epsilon)
		b.set(b.table, i, 0, float64(b.centre[i]))
		b.set(b.table, i, 1, scale)
		b.set(b.table, i, 2, float64(bias[i])+(float64(b.centre[i])-b.mean[i])*scale)
	}
	return nil
}

// Backward computes the gradients of x, the weight and the bias from dy, each unless it is nil.
func (b *BatchNorm) Backward(dx, dWeight, dBias, dy, x, weight []float32) error {
	if err := lengths("gradient of batch normalisation",
		optional("dx", dx, b.config.Rows*b.config.Channels)); err != nil {
		return err
	}
	if err := b.PrepareBackward(dWeight, dBias, dy, x, weight); err != nil || dx == nil {
		return err
	}
	b.x, b.y, b.dy, b.gradient = x, dx, dy, true
	defer b.release()
	b.engine.Pool.Run(b.items, b.rowTask)
	return nil
}

// ReLUGradient computes g = dy where y, the result of ForwardSum with 0 for low, is positive or
// NaN, and 0 elsewhere: the gradient of z, and what Backward or PrepareBackward must be given next,
// with the same x. It takes their sums on the way.
func (b *BatchNorm) ReLUGradient(g, dy, y, x []float32) error {
	n := b.config.Rows * b.config.Channels
	if err := lengths("gradient of ReLU", size{"g", len(g), n}, size{"dy", len(dy), n},
		size{"y", len(y), n}, size{"x", len(x), n}); err != nil {
		return err
	}
	b.x, b.y, b.z, b.dy, b.gradient = x, y, dy, g, true
	defer b.release()
	b.engine.Pool.Run(b.items, b.reluTask)
	b.taken = takenByReLU
	return nil
}

func (b *BatchNorm) reluItem(worker, item int) {
	c, sums := b.config.Channels, b.sumsOf(b.partial, item)
	from, to := b.span(item)
	for row := from; row < to; row += b.block {
		end := min(row+b.block, to)
		x, g := b.some(row, end)
		b.engine.Set.reluGradients(g, b.z[row*c:end*c], b.y[row*c:end*c])
		b.sumRows(&b.work[worker].own, sums, b.table, x, g)
	}
}

// PrepareBackward computes the gradients of the weight and the bias, each unless it is nil, and
// leaves it to another plan to compute that of x from dy and x as it reads them (see
// Conv2D.NormaliseBehind).
func (b *BatchNorm) PrepareBackward(dWeight, dBias, dy, x, weight []float32) error {
	n, c := b.config.Rows*b.config.Channels, b.config.Channels
	if err := lengths("gradient of batch normalisation", size{"dy", len(dy), n}, size{"x", len(x), n},
		size{"weight", len(weight), c}, optional("dw", dWeight, c), optional("db", dBias,
			c)); err != nil {
		return err
	}
	b.x, b.dy, b.gradient = x, dy, true
	defer b.release()
	taken := b.taken
	b.taken = notTaken
	switch {
	case taken == takenByReader:
		b.combine(b.measuredGradients)
	case taken == takenByReLU:
		b.addPartials()
	case b.config.Batch || dWeight != nil || dBias != nil:
		b.sum()
	}
	if b.config.Batch && b.config.Sync != nil {
		copy(b.allSums[0], b.sums[0])
		copy(b.allSums[1], b.sums[1])
		if err := b.config.Sync.Sums(b.partRows(), b.allSums[0], b.allSums[1]); err != nil {
			return fmt.Errorf("gradient of batch normalisation over the parts of a batch: %w", err)
		}
	}
	if err := b.parameters(dWeight, dBias); err != nil {
		return err
	}
	m := float64(b.all)
	for i := range b.mean {
		inverse := 1 / math.Sqrt(b.variance[i]+b.config.Epsilon)
		off := float64(b.centre[i]) - b.mean[i]
		factor := float64(weight[i]) * inverse
		var slope, shift float64
		if b.config.Batch {
			sum := b.allSums[0][i]
			product := (b.allSums[1][i] + off*sum) * inverse
			slope = -factor * inverse * product / m
			shift = slope*off - factor*sum/m
		}
		b.set(b.table, i, 3, factor)
		b.set(b.table, i, 4, slope)
		b.set(b.table, i, 5, shift)
	}
	return nil
}

func (b *BatchNorm) release() { b.x, b.y, b.z, b.dy = nil, nil, nil, nil }

// set stores a channel's value in a table, vector k.
func (b *BatchNorm) set(table []float32, channel, k int, value float64) {
	for _, s := range b.segments {
		if at := channel - s.first; at >= 0 && at < s.lanes*s.vectors {
			table[normaliseTable*s.first+(at/s.lanes*normaliseTable+k)*s.lanes+at%s.lanes] = float32(value)
		}
	}
}

// sum adds all rows up.
func (b *BatchNorm) sum() {
	b.engine.Pool.Run(b.items, b.sumTask)
	b.addPartials()
}

func (b *BatchNorm) addPartials() {
	clear(b.sums[0])
	clear(b.sums[1])
	for item := range b.items {
		partial, part := b.partial[item*2*b.config.Channels:], item/b.each*b.config.Channels
		for _, s := range b.segments {
			for i := range s.lanes * s.vectors {
				at := 2*s.first + i/s.lanes*2*s.lanes + i%s.lanes
				b.sums[0][part+s.first+i] += partial[at]
				b.sums[1][part+s.first+i] += partial[at+s.lanes]
			}
		}
	}
}

func (b *BatchNorm) sumItem(worker, item int) {
	x, dy := b.some(b.span(item))
	table := b.table
	if !b.gradient {
		table = b.guesses[item/b.each]
	}
	b.sumRows(&b.work[worker].own, b.sumsOf(b.partial, item), table, x, dy)
}

// sumsOf returns the sums of an item among those of all, and clears them.
func (b *BatchNorm) sumsOf(all []float64, item int) []float64 {
	n := 2 * b.config.Channels
	sums := all[item*n : (item+1)*n]
	clear(sums)
	return sums
}

func (b *BatchNorm) rowItem(worker, item int) {
	from, to := b.span(item)
	x, dy := b.some(from, to)
	y := b.y[from*b.config.Channels : to*b.config.Channels]
	if b.gradient {
		b.differentiate(&b.work[worker].own, y, dy, x)
	} else {
		b.normalise(&b.work[worker].own, y, x)
	}
}

func (b *BatchNorm) sumRowItem(worker, item int) {
	c := b.config.Channels
	from, to := b.span(item)
	from, to = from*c, to*c
	b.pass(&b.work[worker].own, b.y[from:to], b.x[from:to], b.z[from:to], b.low,
		func(s *segment) func(*byte) { return s.passes.sum })
}

// some returns rows of x and, of a gradient, dy.
func (b *BatchNorm) some(from, to int) (x, dy []float32) {
	c := b.config.Channels
	if b.gradient {
		dy = b.dy[from*c : to*c]
	}
	return b.x[from*c : to*c], dy
}

// normalise writes y, rows of the result, from those of x, after Prepare.
func (b *BatchNorm) normalise(a *normaliseArgs, y, x []float32) {
	b.pass(a, y, x, nil, b.config.Low, func(s *segment) func(*byte) { return s.passes.forward })
}

// normaliseChannels is normalise of some channels of the rows, whole vectors of them.
func (b *BatchNorm) normaliseChannels(a *normaliseArgs, y, x []float32, first, channels int) {
	s := segment{first, b.segments[0].lanes, channels / b.segments[0].lanes, b.segments[0].passes}
	b.passSegment(a, &s, y, x, nil, b.config.Low, s.passes.forward)
}

// differentiate writes dx, rows of the gradient, from those of dy and x, after PrepareBackward.
func (b *BatchNorm) differentiate(a *normaliseArgs, dx, dy, x []float32) {
	b.pass(a, dx, x, dy, b.config.Low, func(s *segment) func(*byte) { return s.passes.gradient })
}

// pass takes rows through a loop.
func (b *BatchNorm) pass(a *normaliseArgs, y, x, dy []float32, low float32,
	loop func(*segment) func(*byte)) {
	for i := range b.segments {
		s := &b.segments[i]
		b.passSegment(a, s, y, x, dy, low, loop(s))
	}
}

func (b *BatchNorm) passSegment(a *normaliseArgs, s *segment, y, x, dy []float32, low float32,
	loop func(*byte)) {
	b.args(a, s, x, dy).Y = unsafe.Add(pointer(y), 4*s.first)
	a.Low, a.Together = low, 4
	if s.vectors == 1 {
		a.Together = a.Rows
	}
	loop((*byte)(unsafe.Pointer(a)))
}

// args describes a segment of rows of x and, unless it is nil, as many of dy.
func (b *BatchNorm) args(a *normaliseArgs, s *segment, x, dy []float32) *normaliseArgs {
	c := b.config.Channels
	*a = normaliseArgs{
		X: unsafe.Add(pointer(x), 4*s.first), RowStep: 4 * c, Rows: len(x) / c, Vectors: s.vectors,
		Table: unsafe.Pointer(&b.table[normaliseTable*s.first]), Low: b.config.Low, High: b.config.High,
	}
	if dy != nil {
		a.Dy = unsafe.Add(pointer(dy), 4*s.first)
	}
	return a
}
