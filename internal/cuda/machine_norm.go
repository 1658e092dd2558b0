//go:build gpu && linux && amd64

package cuda

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// learnedStatistic is a running statistic into which a share of the batch's goes when the step
// is done.
type learnedStatistic struct {
	node     *gorgonia.Node
	momentum float64
}

// addBatchNorm appends a batch normalisation: sums of the batch's values by channel, in
// training, and the
// pass that normalises, to which a residual is added unless it is nil, and which a rectifier may
// follow.
func (m *Machine) addBatchNorm(o operation, residual *buffer, rectifier bool) error {
	channels := channelsOf(o.nodes[0].Shape())
	if err := channels.check(); err != nil {
		return err
	}
	x, weight, bias, mean, variance := o.inputs[0], o.inputs[1], o.inputs[2], o.inputs[3], o.inputs[4]
	statistics, err := m.save(o.node, "the channels' statistics", 16*channels.count)
	if err != nil {
		return err
	}
	var partials, batchMean, batchVariance *buffer
	if o.Norm.Batch {
		if partials, err = m.addMoments(x, channels); err != nil {
			return err
		}
		momentum := o.Norm.Momentum
		if batchMean, err = m.learnStatistic(o.nodes[3], momentum); err != nil {
			return err
		}
		if channels.values() == 1 {
			momentum = 0 // the variance of one value is not known
		}
		if batchVariance, err = m.learnStatistic(o.nodes[4], momentum); err != nil {
			return err
		}
	}
	return m.launch("batch_norm_forward", channels.count*threadsPerBlock, channels.chunks(), x, partials, word(channels.shares()),
		mean, variance, weight, bias, o.output, statistics, batchMean, batchVariance,
		word(channels.runs), word(channels.count), word(channels.area), o.Norm.Epsilon,
		residual, flag(rectifier))
}

// learnStatistic returns the memory, float64, of what the batch says of a running statistic.
func (m *Machine) learnStatistic(node *gorgonia.Node, momentum float64) (*buffer, error) {
	m.learned = append(m.learned, learnedStatistic{node, momentum})
	if b := m.options.Batch[node]; b != nil {
		return b, nil
	}
	return m.memory.allocate("the batch's statistics", 8*int64(node.Shape().TotalSize()))
}

// addMoments appends the sums that mean and variance of each set are made of, shares of them.
func (m *Machine) addMoments(x *buffer, s sets) (partials *buffer, err error) {
	if partials, err = m.memory.allocate("partial sums", int64(16*s.count*s.shares())); err != nil {
		return nil, err
	}
	return partials, m.launch("moment_sums", s.threads(), s.shares(), x, partials,
		word(s.runs), word(s.count), word(s.area), word(s.lanes()))
}

// standard says which pair of statistics standardises a value: the number run·byRun + set/per +
// place·byPlace,
// where set/0 is 0.
type standard struct {
	statistics          *buffer
	byRun, per, byPlace int
}

// addProducts appends, for each set, shares of Σ g·h and Σ g of the gradient that comes in: h is x,
// standardised where there are statistics, and with negative 0 where x is above 0.
func (m *Machine) addProducts(g incoming, x *buffer, s sets, by standard, negative bool) (partials *buffer, err error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if partials, err = m.memory.allocate("partial sums", int64(16*s.count*s.shares())); err != nil {
		return nil, err
	}
	return partials, m.launch("product_sums", s.threads(), s.shares(), g.dy, g.other, g.y, g.kept, x,
		by.statistics, partials,
		word(s.runs), word(s.count), word(s.area), word(s.lanes()),
		word(by.byRun), word(by.per), word(by.byPlace), flag(negative))
}

// The kinds of partial sums of addProducts.
const (
	sumOfProducts = iota
	sumOfGradients
	sumKinds
)

// addFinish appends the end of such sums, the gradients of parameters, if they are asked for.
func (m *Machine) addFinish(partials *buffer, s sets, which int, output *buffer) error {
	if output == nil {
		return nil
	}
	return m.launchFloats("finish_sums", s.count, 1, partials, s.shares(), sumKinds, which, output, s.count)
}

func flag(set bool) int32 {
	if set {
		return 1
	}
	return 0
}

// normalisedBy returns what the normalisation of a gradient has kept, and where the gradients go.
func (m *Machine) normalisedBy(o operation) (statistics *buffer, gradients []*buffer, err error) {
	if statistics, err = m.savedBy(o.nodes[1]); err != nil {
		return nil, nil, err
	}
	gradients, err = m.gradientsOf(o)
	return statistics, gradients, err
}

func (m *Machine) addBatchNormGradient(o operation) error {
	x, weight := o.inputs[2], o.inputs[3]
	channels := channelsOf(o.nodes[2].Shape())
	statistics, gradients, err := m.normalisedBy(o)
	if err != nil {
		return err
	}
	g, err := m.incomingOf(o.nodes[0])
	if err != nil {
		return err
	}
	partials, err := m.addProducts(g, x, channels, standard{statistics: statistics, per: 1}, false)
	if err != nil {
		return err
	}
	dy := g.dy
	if g.kept != nil {
		dy = g.kept
	}
	return m.launch("batch_norm_gradient", channels.count*threadsPerBlock, channels.chunks(), dy, x, statistics, partials,
		word(channels.shares()), weight, gradients[0], gradients[1], gradients[2],
		word(channels.runs), word(channels.count), word(channels.area), flag(o.Norm.Batch))
}

// setNorm is how the sets of a group or layer normalisation lie; the kernel set_norm_forward
// says what the
// words mean.
type setNorm struct{ sets, size, inner, outer, stride, per, groups int }

// setNormOf returns it: sets of whole maps of a group of channels, or of all channels at one place.
func setNormOf(shape tensor.Shape, groups int) setNorm {
	batch, channels := shape[0], shape[1]
	area := shape.TotalSize() / (batch * channels)
	if groups == 0 {
		return setNorm{sets: batch * area, size: channels, inner: area, outer: channels * area, stride: area, per: 1, groups: 1}
	}
	size := channels / groups * area
	return setNorm{sets: batch * groups, size: size, inner: 1, outer: size, stride: 1, per: area, groups: groups}
}

// normalised are the sets as those of neighbours, unless neighbouring threads have neighbouring
// sets.
func (s setNorm) normalised() sets {
	if s.stride > 1 {
		return sets{count: s.sets, runs: 1, area: 1}
	}
	return sets{count: s.sets, runs: 1, area: s.size}
}

// arguments are the kernels'.
func (s setNorm) arguments() []any {
	return []any{word(s.sets), word(s.size), word(s.inner), s.outer, word(s.stride), word(s.per), word(s.groups),
		word(s.normalised().lanes())}
}

func (m *Machine) addSetNorm(o operation) error {
	s := setNormOf(o.node.Shape(), o.Norm.Groups)
	if err := (sets{count: s.sets, runs: 1, area: s.size}).check(); err != nil {
		return err
	}
	statistics, err := m.save(o.node, "the sets' statistics", 16*s.sets)
	if err != nil {
		return err
	}
	arguments := append([]any{o.inputs[0], o.inputs[1], o.inputs[2], o.output, statistics}, s.arguments()...)
	return m.launch("set_norm_forward", s.normalised().threads(), 1, append(arguments, o.Norm.Epsilon)...)
}

func (m *Machine) addSetNormGradient(o operation) error {
	dy, x, weight := o.inputs[0], o.inputs[2], o.inputs[3]
	shape := o.nodes[2].Shape()
	s, channels := setNormOf(shape, o.Norm.Groups), channelsOf(shape)
	statistics, gradients, err := m.normalisedBy(o)
	if err != nil {
		return err
	}
	behind := len(m.launches)
	if gradients[0] != nil {
		arguments := append([]any{dy, x, weight, statistics, gradients[0]}, s.arguments()...)
		if err := m.launch("set_norm_gradient", s.normalised().threads(), 1, arguments...); err != nil {
			return err
		}
	}
	by := standard{statistics: statistics, byRun: channels.area, byPlace: 1}
	if o.Norm.Groups > 0 {
		by = standard{statistics: statistics, byRun: o.Norm.Groups, per: channels.count / o.Norm.Groups}
	}
	from := len(m.launches)
	partials, err := m.addProducts(incoming{dy: dy}, x, channels, by, false)
	if err != nil {
		return err
	}
	if err := m.addFinish(partials, channels, sumOfProducts, gradients[1]); err != nil {
		return err
	}
	if err := m.addFinish(partials, channels, sumOfGradients, gradients[2]); err != nil {
		return err
	}
	m.forParameters(from, behind)
	return nil
}
