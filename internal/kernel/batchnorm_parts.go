package kernel

import (
	"fmt"
	"math"
)

// divide decides how the rows are shared out: to parts that are summed by themselves, and those to
// items, as many of a part as of a plan whose batch it is.
func (b *BatchNorm) divide() error {
	f := &b.config
	if f.Shards < 0 || f.Rows%b.parts != 0 || b.parts > 1 && f.Batch && f.Sync == nil {
		return fmt.Errorf("kernel: batch normalisation %+v: parts must be equal, and be brought "+
			"together", *f)
	}
	b.block = max(summedRows, normaliseElements/f.Channels/summedRows*summedRows)
	b.rows = max(b.block, ceil(ceil(b.partRows(), normaliseItems), b.block)*b.block)
	b.each = ceil(b.partRows(), b.rows)
	b.items = b.parts * b.each
	if b.parts == 1 {
		return nil
	}
	var err error
	b.tree, err = NewShardSum(b.engine, b.parts)
	return err
}

// partRows returns how many rows a part has.
func (b *BatchNorm) partRows() int { return b.config.Rows / b.parts }

// span returns the rows of an item.
func (b *BatchNorm) span(item int) (from, to int) {
	first := item / b.each * b.partRows()
	from = first + item%b.each*b.rows
	return from, min(from+b.rows, first+b.partRows())
}

// guess sets the parts' centres to the means of some of their rows: the sums of squares are of
// small numbers then, of which the square of the mean may be subtracted.
func (b *BatchNorm) guess() {
	rows, c := min(centreRows, b.partRows()), b.config.Channels
	clear(b.centres)
	for part, table := range b.guesses {
		centre, x := b.centres[part*c:(part+1)*c], b.x[part*b.partRows()*c:]
		for r := range rows {
			for i, x := range x[r*b.partRows()/rows*c:][:c] {
				centre[i] += x / float32(rows)
			}
		}
		for i, x := range centre {
			b.set(table, i, 0, float64(x))
		}
	}
}

// SumTimes says what the sums over the parts that are the gradients of the weight and the bias are
// multiplied by from then on.
func (b *BatchNorm) SumTimes(after float32) { b.after = after }

// parameters computes the gradients of the weight and the bias, each unless it is nil.
func (b *BatchNorm) parameters(dWeight, dBias []float32) error {
	c := b.config.Channels
	err := b.overParts(dWeight, func(d []float32, part int) {
		for i := range d {
			inverse := 1 / math.Sqrt(b.variance[i]+b.config.Epsilon)
			off, sum := float64(b.centre[i])-b.mean[i], b.sums[0][part*c+i]
			d[i] = float32((b.sums[1][part*c+i] + off*sum) * inverse) // Σ g·x̂
		}
	})
	if err != nil {
		return err
	}
	return b.overParts(dBias, func(d []float32, part int) {
		for i := range d {
			d[i] = float32(b.sums[0][part*c+i])
		}
	})
}

// overParts makes d the tree's sum of what of writes for the parts, unless it is nil.
func (b *BatchNorm) overParts(d []float32, of func(d []float32, part int)) error {
	switch {
	case d == nil:
		return nil
	case b.tree == nil:
		of(d, 0)
		return nil
	}
	b.tree.Begin(d, b.after)
	defer b.tree.End()
	for part := range b.parts {
		of(b.tree.Next(), part)
		if err := b.tree.Add(); err != nil {
			return err
		}
	}
	return nil
}
