package train

import (
	"context"
	"fmt"
	"math/bits"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/kernel"
)

// BatchNormShard is the Config.BatchNorm in which each shard is normalised by itself.
const BatchNormShard = "shard"

// maxShards is more than anybody has processes for, and bounds what is kept of each.
const maxShards = 1 << 16

// checkShardValues reports numbers of shards that no batch can be dealt to.
func (c *Config) checkShardValues() error {
	if c.Shards == 1 {
		c.Shards = 0 // the default, of which a run's record says nothing
	}
	units := c.BatchSize
	if !c.Mix.IsZero() {
		units = (c.BatchSize + 1) / 2 // the two of a pair stay together
	}
	switch {
	case c.BatchNorm != "" && c.BatchNorm != BatchNormShard:
		return wrongSetting("batch_norm", "statistics of BatchNorm by %q; they are by batch, or by %s",
			c.BatchNorm, BatchNormShard)
	case c.BatchNorm != "" && c.Shards == 0:
		return wrongSetting("batch_norm", "BatchNorm by %s applies to batches that are dealt to shards alone",
			BatchNormShard)
	case c.Shards == 0:
		return nil
	case c.Shards < 0 || bits.OnesCount(uint(c.Shards)) != 1 || c.Shards > maxShards:
		return wrongSetting("shards", "%d shards; their number is a power of two, at most %d", c.Shards, maxShards)
	case c.Shards > units:
		return wrongSetting("shards", "%d shards of a batch of %d images, of which %d can be dealt: some would "+
			"always be empty", c.Shards, c.BatchSize, units)
	}
	return nil
}

// checkShards reports what of a network does not go with the shards.
func (c Config) checkShards(network *builder.Network) error {
	switch {
	case c.Shards == 0:
		return nil
	case c.BatchNorm == "" && network.WholeBatch():
		return fmt.Errorf("network %s normalises over the batch (BatchNorm), and of %d shards each "+
			"is computed by itself: say BatchNorm by %s (-batchnorm %[3]s) to normalise each by its own "+
			"statistics, which is not what one batch comes to, or freeze the statistics",
			network.Name(), c.Shards, BatchNormShard)
	case c.BatchNorm != "" && !network.WholeBatch():
		return fmt.Errorf("BatchNorm by %s: network %s has no BatchNorm that learns statistics",
			BatchNormShard, network.Name())
	}
	return nil
}

// shards adds up the gradients of a step whose images are dealt to a fixed number of shards. Each
// shard is computed by itself, and they meet in one binary tree, neighbours first:
//
//	((g₀+g₁) + (g₂+g₃)) + ((g₄+g₅) + (g₆+g₇))
//
// so that the sum does not depend on who computed which, to the bit: a sum of two does not depend
// on their order. Below a rank's node the rank alone goes up the tree, above it all do.
//
// Gradients lie in a row, behind them the running statistics of layers: of these each shard
// computes what they were if the step were its own, and they become the mean.
type shards struct {
	count, each int // in all, of a rank
	rank        int
	add         func(total, part []float32, scale float32) error

	places     []place // of the gradients, in the order of a program's model
	statistics []statistic
	model      []gorgonia.ValueGrad // each parameter with its part of total

	total  []float32   // the rank's node at last, and the sum of all
	levels [][]float32 // the nodes that wait for their right neighbour, by height; nil if none
	free   [][]float32 // buffers for nodes
	other  []float32   // what is received of other ranks' nodes
	report *report     // of other ranks; nil if there are none
	even   bool        // whether all shards of the step are one span, of one size
	leaf   leaf
	sums   []figures // of all shards
}

// place is where something lies in the row.
type place struct{ first, end int }

// statistic is a tensor that layers keep beside what they learn.
type statistic struct {
	value, before []float32
	place
}

// leaf is the shard under way.
type leaf struct {
	node   []float32
	joined bool // whether it is added to its left neighbour's node at once
	spans  int  // that are taken
}

// figures are what a shard's share of a step came to.
type figures struct{ total, data, correct float64 }

// newShards returns what deals and sums the steps of a phase.
func newShards(network *builder.Network, config Config, engine *builder.Engine,
	variables *builder.Variables) (*shards, error) {
	ranks, rank := 1, 0
	if config.Communicator != nil {
		ranks, rank = config.Communicator.Size(), config.Communicator.Rank()
	}
	s := &shards{count: config.Shards, each: config.Shards / ranks, rank: rank, add: plainAddScaled}
	if kernels, native := engine.Kernels(); native {
		pass, err := kernel.NewElementwise(kernels)
		if err != nil {
			return nil, err
		}
		s.add = pass.AddScaled
	}
	size := 0
	next := func(values int) place {
		size += values
		return place{size - values, size}
	}
	values, learned := variables.Values(), variables.Learned()
	trained := config.trained(network)
	for _, i := range trained {
		s.places = append(s.places, next(values[learned[i]].Shape().TotalSize()))
	}
	i := 0
	for _, node := range network.Nodes() {
		for _, spec := range node.Tensors {
			if node.WholeBatch && spec.Role == builder.Statistic { // others stay, to the bit
				value := values[i].Float32s()
				s.statistics = append(s.statistics,
					statistic{value, make([]float32, len(value)), next(len(value))})
			}
			i++
		}
	}
	const lanes = 16 // so that every half of a half begins a vector
	s.total = make([]float32, (size+lanes*s.count-1)/(lanes*s.count)*(lanes*s.count))
	s.levels = make([][]float32, bits.Len(uint(s.each))-1)
	for range s.levels {
		s.free = append(s.free, make([]float32, len(s.total)))
	}
	for k, i := range trained {
		parameter := values[learned[i]]
		part := s.total[s.places[k].first:s.places[k].end]
		s.model = append(s.model, &summed{parameter: parameter, gradient: tensor.New(
			tensor.WithShape(parameter.Shape()...), tensor.WithBacking(part))})
	}
	s.sums = make([]figures, s.count)
	if ranks > 1 {
		s.other, s.report = make([]float32, len(s.total)/2), newReport(s.each, ranks)
	}
	return s, nil
}

// begin prepares for a step of so many images, dealt in such units.
func (s *shards) begin(oneSpan bool, units, unit, images int) {
	s.even = oneSpan && units%s.count == 0 && units*unit == images
	for _, statistic := range s.statistics {
		copy(statistic.before, statistic.value)
	}
}

// open begins the rank's next shard, in so many spans.
func (s *shards) open(first bool, spans int) {
	s.leaf = leaf{joined: s.even && !first && len(s.levels) > 0 && s.levels[0] != nil}
	switch {
	case s.leaf.joined:
		s.leaf.node, s.levels[0] = s.levels[0], nil
	case first:
		s.leaf.node = s.total
	default:
		last := len(s.free) - 1
		s.leaf.node, s.free = s.free[last], s.free[:last]
	}
	if spans == 0 {
		clear(s.leaf.node)
	}
	for _, statistic := range s.statistics {
		copy(statistic.value, statistic.before)
	}
}

// take adds a span's mean gradients, of that share of the step's images.
func (s *shards) take(p *program, share float64) error {
	for i, place := range s.places {
		value, err := p.model[i].Grad()
		if err != nil {
			return err
		}
		if err := s.put(place, value.(*tensor.Dense).Float32s(), share, s.leaf.spans == 0); err != nil {
			return err
		}
	}
	s.leaf.spans++
	return nil
}

// put adds values to the leaf, or writes them where it has none there yet. Even shards are added
// as they are, and their sum is divided.
func (s *shards) put(at place, values []float32, share float64, first bool) error {
	node := s.leaf.node[at.first:at.end]
	switch {
	case s.leaf.joined:
		return s.add(node, values, 1)
	case s.even:
		copy(node, values)
		return nil
	case first:
		clear(node)
	}
	return s.add(node, values, float32(share))
}

// close ends a shard that has that share of the step's images, and carries its node up the tree.
func (s *shards) close(share float64) error {
	for _, statistic := range s.statistics {
		if err := s.put(statistic.place, statistic.value, share, true); err != nil {
			return err
		}
	}
	node, level := s.leaf.node, 0
	if s.leaf.joined {
		level = 1
	}
	s.leaf = leaf{}
	for ; level < len(s.levels); level++ {
		left := s.levels[level]
		if left == nil {
			s.levels[level] = node
			return nil
		}
		if err := s.add(left, node, 1); err != nil {
			return err
		}
		s.free = append(s.free, node)
		node, s.levels[level] = left, nil
	}
	return nil
}

// abandon forgets a step that failed.
func (s *shards) abandon() {
	for level, node := range s.levels {
		if node != nil && &node[0] != &s.total[0] {
			s.free = append(s.free, node)
		}
		s.levels[level] = nil
	}
	if s.leaf.node != nil && &s.leaf.node[0] != &s.total[0] {
		s.free = append(s.free, s.leaf.node)
	}
	s.leaf = leaf{}
	s.restore()
}

// restore brings back the statistics of before the step.
func (s *shards) restore() {
	for _, statistic := range s.statistics {
		copy(statistic.value, statistic.before)
	}
}

// finish makes the sum over all shards the mean over the step's images.
func (s *shards) finish() {
	s.restore()
	if !s.even {
		return // each was weighted
	}
	// By a power of two: exact. Not before the sums, where tiny numbers would be rounded.
	scale := 1 / float32(s.count)
	for i := range s.total {
		s.total[i] *= scale
	}
}

// Update brings the statistics up to date, once the step is done.
func (s *shards) Update() {
	for _, statistic := range s.statistics {
		copy(statistic.value, s.total[statistic.first:statistic.end])
	}
}

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
	for k := range s.each {
		shard := s.rank*s.each + k
		spans := t.spans(batch, unit, shard, s.count)
		if err = t.oneShard(t.working(ctx), images, shard, spans, weights); err != nil {
			break
		}
	}
	if t.together != nil {
		err = t.meet(ctx, err)
	}
	if err != nil {
		return result, err
	}
	s.finish()
	for _, sums := range s.sums {
		result.total += sums.total
		result.data += sums.data
		result.correct += int(sums.correct)
	}
	result.model, result.statistics = s.model, s
	return result, nil
}

// oneShard runs a shard's spans.
func (t *Trainer) oneShard(ctx context.Context, images feed, shard int, spans []span,
	weights float64) error {
	s, batch := t.shards, len(images.indices)
	s.open(shard == s.rank*s.each, len(spans))
	var sums figures
	shares := 0.0
	for i, span := range spans {
		if (shard > s.rank*s.each || i > 0) && ctx.Err() != nil {
			return errStepInterrupted
		}
		p, part, err := t.forwardAndBack(ctx, images, span, weights)
		if err != nil {
			return err
		}
		share := float64(span.end-span.first) / float64(batch)
		shares += share
		sums.total += share * part.total
		sums.data += share * part.data
		sums.correct += float64(part.correct)
		if err := s.take(p, share); err != nil {
			return err
		}
		p.graph.Update()
	}
	s.sums[shard] = sums
	return s.close(shares)
}
