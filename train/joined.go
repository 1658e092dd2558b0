package train

import (
	"context"

	"slipway/internal/ops"
)

// Shards of a rank that have equally many images go forward and back as one batch, where the
// network is one that gives each image the same bits in any batch: its layers read their weights
// once for all of them. What adds up over images, the gradients of the parameters and the loss, is
// computed by shard all the same, so that a step has the bits of shards that are computed one after
// the other. The gradients of such shards are added up layer by layer, where they are computed. So
// are the sums of a batch normalisation, which then meet as those of shards in lockstep do.

// joined returns how many of the rank's shards go forward and back together in a step of these
// images, which begin has divided: 1 where each goes by itself.
func (t *Trainer) joined(ctx context.Context, images feed) (int, error) {
	s := t.shards
	if _, native := t.engine.Kernels(); !native || s.single || !s.even {
		return 1, nil
	}
	each, count := len(images.indices)/s.count, min(s.each, s.tree.group)
	if s.sync != nil {
		count = s.each // they are normalised together
	}
	for count > 1 && count*each > t.sum.most() {
		count /= 2
	}
	if count < 2 {
		return 1, nil
	}
	key := programKey{batch: count * each, training: true, shards: count}
	if kept, err := t.features.of(ctx, true, images.source); err != nil {
		return 0, err
	} else if kept != nil {
		key.from = t.features.cut
	}
	p, err := t.programOf(key)
	if s.single = err != nil || p.shards == nil; s.single {
		// A plan may be too large for the images of all shards, and not for those of one: what else
		// is wrong is so of a shard's program, too.
		delete(t.programs, key)
		return 1, nil
	}
	return count, nil
}

// severalShards runs several of the rank's shards, from one on, forward and back together.
func (t *Trainer) severalShards(ctx context.Context, images feed, from, count int,
	weights float64) error {
	s, batch := t.shards, len(images.indices)
	if from > s.rank*s.each && ctx.Err() != nil {
		return errStepInterrupted
	}
	each := batch / s.count
	share, divisor := float64(each)/float64(batch), weights*float64(each)/float64(batch)
	of := span{first: from * each, end: (from + count) * each}
	key := programKey{training: true, shards: count}
	p, err := t.fed(ctx, key, images.of(of), of.first, divisor)
	if err != nil {
		return err
	}
	s.leaf = leaf{node: s.tree.leaf(from == s.rank*s.each), direct: true, spans: count,
		share: share * float64(count)}
	after := float32(1)
	if count == s.count {
		after, s.after = s.after, 1 // it is the sum over all
	}
	for _, shards := range p.shards {
		shards.After = after
	}
	if err := t.runInto(p, &s.leaf); err != nil {
		return err
	}
	p.graph.Update()
	losses := ops.ShardLossesOf(p.graph.Data)
	for k := range count {
		part := batchResult{total: float64(losses[k]), data: float64(losses[k])}
		own := span{k * each, (k + 1) * each}
		if part.correct, err = p.correctOf(own, images.info.Combinations); err != nil {
			return err
		}
		var sums figures
		sums.add(part, share)
		s.sums[from+k] = sums
	}
	return s.close()
}
