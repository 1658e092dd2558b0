package train

import (
	"fmt"
	"math/bits"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/kernel"
)

// Whose statistics batch normalisation trains with where batches are dealt to shards.
const (
	// BatchNormBatch is the Config.BatchNorm in which the batch is normalised as a whole.
	BatchNormBatch = "batch"
	// BatchNormShard is the one in which each shard is normalised by itself.
	BatchNormShard = "shard"
)

// BatchNormModes lists what Config.BatchNorm may be.
func BatchNormModes() []string { return []string{BatchNormBatch, BatchNormShard} }

// maxShards is more than anybody has processes for, and bounds what is kept of each.
const maxShards = 1 << 16

// maxTogether bounds the shards of a rank that go forward in lockstep, each of which holds a thread
// of the operating system.
const maxTogether = 512

// checkShardValues reports numbers of shards that no batch can be dealt to.
func (c *Config) checkShardValues() error {
	if c.Shards == 1 {
		c.Shards = 0 // the default, of which a run's record says nothing
	}
	if c.BatchNorm == BatchNormBatch {
		c.BatchNorm = "" // likewise
	}
	units := c.BatchSize
	if !c.Mix.IsZero() {
		units = (c.BatchSize + 1) / 2 // the two of a pair stay together
	}
	switch {
	case c.BatchNorm != "" && c.BatchNorm != BatchNormShard:
		return wrongSetting("batch_norm", "statistics of BatchNorm by %q; they are by %s, or by %s",
			c.BatchNorm, BatchNormBatch, BatchNormShard)
	case c.BatchNorm != "" && c.Shards == 0:
		return wrongSetting("batch_norm",
			"BatchNorm by %s applies to batches that are dealt to shards alone", BatchNormShard)
	case c.Shards == 0:
		return nil
	case c.Shards < 0 || bits.OnesCount(uint(c.Shards)) != 1 || c.Shards > maxShards:
		return wrongSetting("shards", "%d shards; their number is a power of two, at most %d", c.Shards,
			maxShards)
	case c.Shards > units:
		return wrongSetting("shards",
			"%d shards of a batch of %d images, of which %d can be dealt: some would "+
				"always be empty", c.Shards, c.BatchSize, units)
	}
	return nil
}

// checkShards reports what of a network does not go with the shards.
func (c Config) checkShards(network *builder.Network) error {
	if c.Shards == 0 {
		return nil
	}
	for _, node := range network.Nodes() {
		if _, ok := node.Layer.(builder.BatchNorm); node.WholeBatch && !ok && c.BatchNorm == "" {
			return fmt.Errorf("layer %s (%s) computes the images of a batch together, and of %d shards "+
				"each is computed by itself: of such layers BatchNorm alone has what shards of one batch "+
				"exchange; train without shards, or say that each is a batch to such layers (-batchnorm %s)",
				node.Name, node.Layer.Kind(), c.Shards, BatchNormShard)
		}
	}
	if c.BatchNorm != "" && !network.WholeBatch() {
		return fmt.Errorf("BatchNorm by %s: network %s has no BatchNorm that learns statistics",
			BatchNormShard, network.Name())
	}
	return nil
}

// shards adds up the gradients of a step whose images are dealt to a fixed number of shards. Each
// shard is computed by itself, and they meet in one binary tree, neighbours first, so that the sum
// does not depend on who computed which, to the bit: a sum of two does not depend on their order.
// Below a rank's node the rank alone goes up the tree, above it all do.
//
// Gradients lie in a row. With BatchNorm by shard the running statistics of layers are behind them:
// of these each shard computes what they were if the step were its own, and they become the mean.
// Otherwise they are the batch's, which all shards know (sync).
type shards struct {
	count, each int // in all, of a rank
	rank        int
	add         func(total, part []float32, scale float32) error

	places     []place // of the gradients, in the order of a program's model
	statistics []statistic
	model      []gorgonia.ValueGrad // each parameter with its part of total

	tree       *gradientTree
	after      float32     // what is left to divide the sum by, once all ranks have added theirs
	neighbours *neighbours // nil if there are no other ranks
	report     *report     // of other ranks; nil if there are none
	single     bool        // whether each of the shards goes forward and back by itself, in all steps
	updated    bool        // whether the weights are, by the sum of the ranks' gradients
	oneSpan    bool        // whether no shard of the step has several spans
	even       bool        // whether all shards of the step are one span, of one size
	leaf       leaf
	leaves     []leaf      // by the rank's shard, where several batches go into each
	sums       []figures   // of all shards
	sync       *batchSync  // nil unless shards have statistics together
	parts      []shardPart // by the rank's shard: of the batch under way, with sync
	live       []int       // the rank's shards that have images of it
}

// shardPart is what a shard has of a batch.
type shardPart struct {
	span    span  // empty if it has no image
	leaf    *leaf // where its gradients go, nil if to where its graph has them
	program *program
	result  batchResult
}

// place is where something lies in the row.
type place struct {
	first, end int
	// tree, unless nil, adds up what lies there of the shards of a group, if each is one span.
	tree *kernel.DenseTree
}

// within is what of first…end−1 the place has, nothing if from is not below until.
func (p place) within(first, end int) (from, until int) {
	return max(first, p.first), min(end, p.end)
}

// statistic is a tensor that layers keep beside what they learn.
type statistic struct {
	value, before []float32
	after         []float32 // of the whole batch, nil where its place in the row holds it
	place
}

// leaf is the shard under way.
type leaf struct {
	node   []float32
	direct bool    // whether its one span writes its gradients there: they are weighted in the tree
	denses bool    // whether it leaves those that have a tree of their own to it
	index  int     // in its group of the tree
	spans  int     // that are taken
	share  float64 // of the step's images that is taken
}

// figures are what a shard's share of a step came to.
type figures struct{ total, data, correct float64 }

// newShards returns what deals and sums the steps of a phase.
func newShards(network *builder.Network, config Config, engine *builder.Engine,
	variables *builder.Variables, others *together) (*shards, error) {
	ranks, rank := 1, 0
	if others != nil {
		ranks, rank = others.Size(), others.Rank()
	}
	s := &shards{count: config.Shards, each: config.Shards / ranks, rank: rank, add: plainAddScaled}
	s.single = s.each < 2 || !network.Separable() || !config.ParameterPenalty.IsZero() ||
		len(config.ActivationPenalties) > 0 || // which are of each shard's parameters and outputs
		network.WholeBatch() && config.BatchNorm == BatchNormShard
	if kernels, native := engine.Kernels(); native {
		pass, err := kernel.NewElementwise(kernels)
		if err != nil {
			return nil, err
		}
		s.add = pass.AddScaled
	}
	if network.WholeBatch() && config.BatchNorm == "" {
		if s.each > maxTogether {
			return nil, wrongSetting("shards",
				"%d shards of a rank would wait for each other at each BatchNorm, at "+
					"most %d can: take fewer, or more ranks, or each shard's own statistics", s.each, maxTogether)
		}
		s.sync = newBatchSync(s.each, others)
		s.parts = make([]shardPart, s.each)
	}
	// Each place begins a vector, and so does every half of a half of the row: what is cut there has
	// no other rest than the whole, which kernels round in another way.
	const lanes = 16
	size := 0
	next := func(values int) place {
		first := size
		size += ceil(values, lanes) * lanes
		return place{first: first, end: first + values}
	}
	values, learned := variables.Values(), variables.Learned()
	trained := config.trained(network)
	s.places = make([]place, len(trained))
	dense := s.denseWeights(network, config, engine)
	for k, i := range trained {
		if !dense[learned[i]] {
			s.places[k] = next(values[learned[i]].Shape().TotalSize())
		}
	}
	i := 0
	for _, node := range network.Nodes() {
		for _, spec := range node.Tensors {
			if node.WholeBatch && spec.Role == builder.Statistic { // others stay, to the bit
				value := values[i].Float32s()
				kept := statistic{value: value, before: make([]float32, len(value))}
				if s.sync != nil {
					kept.after = make([]float32, len(value))
				} else {
					kept.place = next(len(value))
				}
				s.statistics = append(s.statistics, kept)
			}
			i++
		}
	}
	rows := size
	for k, i := range trained {
		if dense[learned[i]] {
			s.places[k] = next(values[learned[i]].Shape().TotalSize())
		}
	}
	var err error
	size = ceil(size, lanes*s.count) * lanes * s.count
	var total []float32
	if ranks > 1 {
		s.report = newReport(s.each, ranks)
		s.neighbours = newNeighbours(size, config.sharedSlots())
		total = s.neighbours.rows[0]
	} else {
		total = make([]float32, size)
	}
	if s.tree, err = newGradientTree(engine, s.each, total); err != nil {
		return nil, err
	}
	for k, i := range trained {
		if shape := values[learned[i]].Shape(); dense[learned[i]] {
			if err := s.tree.addDense(engine, rows, &s.places[k], shape[1], shape[0]); err != nil {
				return nil, err
			}
		}
	}
	for k, i := range trained {
		parameter := values[learned[i]]
		part := s.tree.total[s.places[k].first:s.places[k].end]
		s.model = append(s.model, &summed{parameter: parameter, gradient: tensor.New(
			tensor.WithShape(parameter.Shape()...), tensor.WithBacking(part))})
	}
	s.sums = make([]figures, s.count)
	return s, nil
}

// denseWeights says by tensor which are dense layers' weights whose gradient a kernel.DenseTree
// adds up. That rounds otherwise than a layer by itself does, and so depends on nothing that
// differs between ranks.
func (s *shards) denseWeights(network *builder.Network, config Config,
	engine *builder.Engine) map[int]bool {
	dense := make(map[int]bool)
	if _, native := engine.Kernels(); !native || s.sync != nil || !config.ParameterPenalty.IsZero() {
		return dense // shards in lockstep have gradients at the same time; a penalty is added to each
	}
	i := 0
	for _, node := range network.Nodes() {
		_, ok := node.Layer.(builder.Dense)
		for _, spec := range node.Tensors {
			dense[i] = ok && len(node.Output) == 1 && len(spec.Shape) == 2 &&
				spec.Shape.Elements() >= kernel.DenseTreeLeast
			i++
		}
	}
	return dense
}

func ceil(a, b int) int { return (a + b - 1) / b }

// begin prepares for a step of so many images, dealt in such units.
func (s *shards) begin(oneSpan bool, units, unit, images int) {
	s.oneSpan, s.tree.unit = oneSpan, 1
	s.even, s.after = oneSpan && units%s.count == 0 && units*unit == images, 1
	if s.even {
		// By a power of two: exact. Not before the sums, where tiny numbers would be rounded.
		s.after = 1 / float32(s.count)
	}
	for _, statistic := range s.statistics {
		copy(statistic.before, statistic.value)
	}
}

// open begins the rank's next shard, in so many spans.
func (s *shards) open(first bool, spans int) {
	s.leaf = leaf{node: s.tree.leaf(first), direct: spans == 1, denses: s.oneSpan && s.sync == nil,
		index: s.tree.waiting()}
	if spans == 0 {
		clear(s.leaf.node)
		s.tree.skip()
	}
	if s.sync == nil {
		s.restore()
	}
}

// own is where the next span leaves its gradients, nil if that is where it always does.
func (l *leaf) own() *leaf {
	if l.direct {
		return l
	}
	return nil
}

// take adds a span's mean gradients, of that share of the step's images.
func (s *shards) take(p *program, share float64) error {
	first := s.leaf.spans == 0
	s.leaf.spans++
	s.leaf.share += share
	if s.leaf.direct {
		return nil
	}
	for i, place := range s.places {
		value, err := p.model[i].Grad()
		if err != nil {
			return err
		}
		if err := s.put(place, value.(*tensor.Dense).Float32s(), share, first); err != nil {
			return err
		}
	}
	return nil
}

// put adds values to the leaf, or writes them where it has none there yet. Even shards are taken
// as they are, and their sum is divided.
func (s *shards) put(at place, values []float32, share float64, first bool) error {
	node := s.leaf.node[at.first:at.end]
	switch {
	case s.even || s.leaf.direct:
		copy(node, values)
		return nil
	case first:
		clear(node)
	}
	return s.add(node, values, float32(share))
}

// close ends a shard, and carries its node up the tree.
func (s *shards) close() error {
	if s.sync == nil {
		for _, statistic := range s.statistics {
			if err := s.put(statistic.place, statistic.value, s.leaf.share, true); err != nil {
				return err
			}
		}
	}
	ended, weight := s.leaf, float32(1)
	if ended.direct && !s.even {
		weight = float32(ended.share)
	}
	s.leaf = leaf{}
	after := s.after
	if s.report != nil {
		after = 1 // that is for all ranks' sum
	}
	return s.tree.add(ended.node, weight, after, ended.denses)
}

// abandon forgets a step that failed.
func (s *shards) abandon() {
	s.tree.reset()
	s.leaf = leaf{}
	s.restore()
}

// restore brings back the statistics of before the step.
func (s *shards) restore() {
	for _, statistic := range s.statistics {
		copy(statistic.value, statistic.before)
	}
}

// finish ends a step whose shards are added up.
func (s *shards) finish() {
	for _, statistic := range s.statistics {
		copy(statistic.after, statistic.value)
	}
	s.restore()
}

// Update brings the statistics up to date, once the step is done.
func (s *shards) Update() {
	for _, statistic := range s.statistics {
		after := statistic.after
		if after == nil {
			after = s.tree.total[statistic.first:statistic.end]
		}
		copy(statistic.value, after)
	}
}
