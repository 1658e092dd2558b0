package train

import "context"

// dealt runs this rank's shards of a step forward and back, and adds up those of all.
func (t *Trainer) dealt(ctx context.Context, images feed, unit int, weights float64) (
	result batchResult, err error) {
	s, batch := t.shards, len(images.indices)
	oneSpan := t.config.Accumulate < 2 && (batch+s.count-1)/s.count <= t.sum.most()
	s.begin(oneSpan, (batch+unit-1)/unit, unit, batch)
	defer func() {
		if err != nil {
			s.abandon()
		}
	}()
	working := t.working(ctx)
	if s.sync != nil {
		err = t.normalised(working, images, unit, weights)
	} else if together, failed := t.joined(working, images); failed != nil {
		err = failed
	} else {
		err = t.inTurn(working, images, unit, together, weights)
	}
	if s.sync != nil && s.sync.broken != nil {
		return result, s.sync.broken
	}
	if t.together != nil {
		err = t.meet(ctx, err)
	}
	if err != nil {
		return result, err
	}
	s.finish()
	result = s.result()
	result.model, result.statistics, result.updated = s.model, s, s.updated
	return result, nil
}

// result is what the step's shards came to.
func (s *shards) result() (result batchResult) {
	for _, sums := range s.sums {
		result.total += sums.total
		result.data += sums.data
		result.correct += int(sums.correct)
	}
	return result
}

// inTurn runs the rank's shards one after the other, or several of them at a time.
func (t *Trainer) inTurn(ctx context.Context, images feed, unit, together int,
	weights float64) error {
	s := t.shards
	if kernels, native := t.engine.Kernels(); native && s.each > 1 {
		kernels.Weights.Hold()
		defer kernels.Weights.Release()
	}
	s.tree.unit = together
	for k := 0; k < s.each; k += together {
		shard := s.rank*s.each + k
		if together > 1 {
			if err := t.severalShards(ctx, images, shard, together, weights); err != nil {
				return err
			}
			continue
		}
		spans := t.spans(len(images.indices), unit, shard, s.count)
		if err := t.oneShard(ctx, images, shard, spans, weights); err != nil {
			return err
		}
	}
	return nil
}

// oneShard runs a shard's spans.
func (t *Trainer) oneShard(ctx context.Context, images feed, shard int, spans []span,
	weights float64) error {
	s, batch := t.shards, len(images.indices)
	s.open(shard == s.rank*s.each, len(spans))
	var sums figures
	for i, span := range spans {
		if (shard > s.rank*s.each || i > 0) && ctx.Err() != nil {
			return errStepInterrupted
		}
		p, part, err := t.forwardAndBack(ctx, 0, images, span, weights, s.leaf.own())
		if err != nil {
			return err
		}
		share := float64(span.end-span.first) / float64(batch)
		sums.add(part, share)
		if err := s.take(p, share); err != nil {
			return err
		}
		p.graph.Update()
	}
	s.sums[shard] = sums
	return s.close()
}

// add takes up what a part came to that has that share of the step's images.
func (f *figures) add(part batchResult, share float64) {
	f.total += share * part.total
	f.data += share * part.data
	f.correct += float64(part.correct)
}
