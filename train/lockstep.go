package train

import "context"

// normalised runs the rank's shards such that each batch is normalised as a whole: as one, or in
// lockstep. The values between the layers of all of them are in memory at the same time.
func (t *Trainer) normalised(ctx context.Context, images feed, unit int, weights float64) error {
	s := t.shards
	if err := t.rehearse(); err != nil {
		return err
	}
	s.sync.begin()
	together, err := t.joined(ctx, images)
	switch {
	case err != nil:
		return s.giveUp(ctx, err, false)
	case together == 1:
		return t.inLockstep(ctx, images, unit, weights)
	}
	s.tree.unit = together
	return s.giveUp(ctx, s.sync.run(ctx, []int{0}, func(int) error {
		return t.severalShards(ctx, images, s.rank*s.each, together, weights)
	}), false)
}

// giveUp tells the other ranks of a batch that failed, more of which are to come, and returns what
// the step has failed by.
func (s *shards) giveUp(ctx context.Context, failure error, more bool) error {
	if failure == nil {
		return nil
	}
	if broken := s.sync.giveUp(ctx, more); broken != nil {
		return broken
	}
	return failure
}

// inLockstep runs the rank's shards side by side, batch by batch.
func (t *Trainer) inLockstep(ctx context.Context, images feed, unit int, weights float64) error {
	s, step := t.shards, len(images.indices)
	size := t.batchImages(step, unit)
	several := size < step
	s.beginTogether(several)
	for begin := 0; begin < step; begin += size {
		s.deal(begin, min(size, step-begin), unit, several)
		err := t.runBatch(ctx, images, weights)
		if err := s.giveUp(ctx, err, begin+size < step); err != nil {
			return err
		}
		if err := s.collect(step); err != nil {
			return err
		}
	}
	return s.closeAll()
}

// rehearse finds out once which normalisations a step has, where other ranks wait at each of them.
func (t *Trainer) rehearse() error {
	if t.together == nil || len(t.shards.sync.lengths) > 0 {
		return nil
	}
	err := t.shards.sync.rehearse(func(slot int) error {
		_, err := t.withoutImages(slot)
		return err
	})
	if err != nil {
		t.shards.sync.broken = err // where the others are is not known
	}
	return err
}

// runBatch runs the shards' parts of a batch that was dealt.
func (t *Trainer) runBatch(ctx context.Context, images feed, weights float64) error {
	s := t.shards
	var some *program // whose statistics are those of all
	err := s.sync.run(ctx, s.live, func(slot int) (err error) {
		if slot == s.each {
			some, err = t.withoutImages(slot)
			return err
		}
		part := &s.parts[slot]
		part.program, part.result, err = t.forwardAndBack(ctx, slot, images, part.span, weights,
			part.leaf)
		some = part.program
		return err
	})
	if err != nil {
		return err
	}
	some.graph.Update()
	return nil
}

// withoutImages runs a slot's program on no image of the set: for its normalisations, at which a
// rank is waited for that has no image of a short batch. Nobody looks at what it computes.
func (t *Trainer) withoutImages(slot int) (*program, error) {
	key := programKey{batch: 1, training: true, slot: slot}
	if t.features.find(t.augmented, true) != nil {
		key.from = t.features.cut
	}
	p, err := t.programOf(key)
	if err != nil {
		return nil, err
	}
	if p.graph.targets != nil {
		p.graph.targets.Divisor, p.graph.targets.Combinations = 1, t.trainingInfo.Combinations
	}
	return p, p.run()
}

// beginTogether prepares for a step whose shards have parts of several batches, or of one. Where it
// is one, each writes its gradients to its leaf, if there is memory for all leaves, or else to its
// own graph's.
func (s *shards) beginTogether(several bool) {
	for k := range s.each {
		s.sums[s.rank*s.each+k] = figures{}
	}
	s.leaves = s.leaves[:0]
	if !several && s.each > s.tree.group {
		return
	}
	s.tree.reserve(s.each)
	for k := range s.each {
		s.leaves = append(s.leaves, leaf{node: s.tree.leaf(k == 0)})
	}
}

// deal says which images of a batch each of the rank's shards has.
func (s *shards) deal(begin, batch, unit int, several bool) {
	s.live = s.live[:0]
	for k := range s.each {
		part := &s.parts[k]
		*part = shardPart{span: dealtSpan(begin, batch, unit, s.rank*s.each+k, s.count)}
		if part.span.first == part.span.end {
			continue
		}
		s.live = append(s.live, k)
		if !several && len(s.leaves) > 0 {
			s.leaves[k].direct = true
			part.leaf = s.leaves[k].own()
		}
	}
}

// collect adds up the gradients of the shards' parts of a batch of a step of so many images.
func (s *shards) collect(step int) error {
	for k := range s.each {
		part := &s.parts[k]
		if len(s.leaves) > 0 {
			s.leaf = s.leaves[k]
		} else {
			s.leaf = leaf{node: s.tree.leaf(k == 0)}
		}
		if images := part.span.end - part.span.first; images > 0 {
			share := float64(images) / float64(step)
			s.sums[s.rank*s.each+k].add(part.result, share)
			if err := s.take(part.program, share); err != nil {
				return err
			}
		}
		if len(s.leaves) > 0 {
			s.leaves[k] = s.leaf
		} else if err := s.closeTogether(); err != nil {
			return err
		}
	}
	return nil
}

// closeAll ends the shards that beginTogether has begun.
func (s *shards) closeAll() error {
	for _, leaf := range s.leaves {
		s.leaf = leaf
		if err := s.closeTogether(); err != nil {
			return err
		}
	}
	return nil
}

// closeTogether ends a shard, which may have had no image of any batch.
func (s *shards) closeTogether() error {
	if s.leaf.spans == 0 {
		clear(s.leaf.node)
	}
	return s.close()
}
