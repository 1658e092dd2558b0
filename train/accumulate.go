package train

import (
	"math"

	"slipway/builder"
)

// A step of Config.Accumulate batches is that of a batch as large as all of them, of which only
// one is in memory at a time: their gradients are summed, each weighted with its share of the
// images, so that a shorter last batch counts for as much as it has, and the optimizer takes one
// step. Without normalisation by batches that is the large batch's step, but for rounding.
// BatchNorm normalises each batch by itself, and its running statistics see each of them, as
// with PyTorch where backward() is called N times before step().
//
// All that a run counts are the optimizer's steps: those of an epoch, the schedule's, the
// averages', the checkpoints'. A step that is interrupted between two batches leaves nothing,
// so that a checkpoint needs no sums.

// checkAccumulate reports a number of batches that no step can have.
func (c Config) checkAccumulate() error {
	switch {
	case c.Accumulate < 0:
		return wrongSetting("accumulate", "a step of %d batches; at least 1 is needed", c.Accumulate)
	case c.Accumulate > math.MaxInt32/c.BatchSize:
		return wrongSetting("accumulate", "a step of %d batches of %d images is more than any set has",
			c.Accumulate, c.BatchSize)
	}
	return nil
}

// stepImages is how many images a step takes, but for the last one of an epoch.
func (c Config) stepImages() int { return c.BatchSize * max(c.Accumulate, 1) }

// span is images of a step, from first up to end.
type span struct{ first, end int }

// spans divides the images of a step into those that go forward and back together: its batches,
// where there are several, of each the share that a shard of so many has, and the parts of that. A
// unit of images, pairs where they are mixed, stays together. It is valid until the next call.
func (t *Trainer) spans(images, unit, shard, shards int) []span {
	size := t.batchImages(images, unit)
	all := t.spanned[:0]
	for begin := 0; begin < images; begin += size {
		of := dealtSpan(begin, min(size, images-begin), unit, shard, shards)
		first, dealt := of.first, of.end-of.first
		if dealt == 0 {
			continue // of a short batch
		}
		units, count := (dealt+unit-1)/unit, 1
		if t.sum != nil {
			count = (dealt-1)/t.sum.size + 1
		}
		for i := range count {
			end := min((i+1)*units/count*unit, dealt)
			all = append(all, span{first + i*units/count*unit, first + end})
		}
	}
	t.spanned = all
	return all
}

// batchImages is how many images the batches have, but for the last one, of a step of so many.
func (t *Trainer) batchImages(images, unit int) int {
	if t.config.Accumulate > 1 {
		return (t.config.BatchSize + unit - 1) / unit * unit
	}
	return images
}

// dealtSpan is a shard's share of a batch that begins at an image; it may be empty.
func dealtSpan(begin, batch, unit, shard, shards int) span {
	units := (batch + unit - 1) / unit
	low, high := shard*units/shards, (shard+1)*units/shards
	return span{begin + min(low*unit, batch), begin + min(high*unit, batch)}
}

// rememberStatistics returns what undoes the changes that the batches of a step make to the
// statistics that layers keep, where it has several.
func (t *Trainer) rememberStatistics() (undo func()) {
	if t.config.Accumulate < 2 || t.shards != nil || !t.network.WholeBatch() {
		return func() {} // shards remember by themselves
	}
	type kept struct{ value, copied []float32 }
	var all []kept
	for i, spec := range t.network.Tensors() {
		if spec.Role == builder.Statistic {
			value := t.variables.Values()[i].Float32s()
			all = append(all, kept{value, append([]float32(nil), value...)})
		}
	}
	return func() {
		for _, k := range all {
			copy(k.value, k.copied)
		}
	}
}
