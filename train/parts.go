package train

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/kernel"
)

// partBytes is what the values between the layers of a part may take, forward and back: what stays
// near the cores while a part is trained on. It is a constant, so that results do not depend on the
// machine.
const partBytes = 3584 << 10

// partStep divides the size of a part, which is at least one step: with fewer images a product's
// operands are read more often than used.
const partStep = 32

// partMost is how many images there are at most in a part of any network: enough that going through
// the parameters once more costs nothing, and so few that a run that is asked to end between two
// parts answers within a second.
const partMost = 1024

// partSize returns how many images of a batch are trained on at a time, at most. The values between
// the layers of a large batch leave the caches and have to be read back from memory. In parts, each
// of which goes forward and back through the whole network, they do not; the gradients are added
// up, and the optimizer's step is the whole batch's. What it costs is that the parameters and their
// gradients are gone through once a part: where these are much of what a part reads, as in an MLP,
// a batch stays whole, up to partMost images.
//
// Gradients are sums over the images either way, taken in another order.
//
// A network that computes the images of a batch together, as BatchNorm does, has no parts.
func partSize(network *builder.Network) int {
	if network.WholeBatch() {
		return math.MaxInt
	}
	values := 0 // of an image, at the layers that keep their input for the way back
	for _, node := range network.Nodes() {
		if len(node.Tensors) > 0 {
			values += node.Input.Elements()
		}
	}
	imageBytes := 2 * 4 * values
	size := max(partBytes/max(imageBytes, 1)/partStep, 1) * partStep
	if size*imageBytes < 3*4*network.ParameterCount() {
		return partMost
	}
	return min(size, partMost)
}

// sum holds the gradients of a step that is trained on in parts, or has several batches.
type sum struct {
	size int // of a part, at most
	// add adds the second slice to the first, scaled.
	add   func(total, gradient []float32, scale float32) error
	model []gorgonia.ValueGrad
	total [][]float32 // by parameter; made for the first batch that is in parts
}

// summed pairs a parameter with the sum of its gradients for a gorgonia.Solver.
type summed struct{ parameter, gradient *tensor.Dense }

func (s *summed) Value() gorgonia.Value         { return s.parameter }
func (s *summed) Grad() (gorgonia.Value, error) { return s.gradient, nil }

// newSum returns what sums gradients, nil for an engine that takes batches whole where a step has
// one.
func newSum(network *builder.Network, config Config, engine *builder.Engine,
	variables *builder.Variables) (*sum, error) {
	s := &sum{size: math.MaxInt, add: plainAddScaled}
	if kernels, native := engine.Kernels(); native {
		pass, err := kernel.NewElementwise(kernels)
		if err != nil {
			return nil, err
		}
		s.size, s.add = partSize(network), pass.AddScaled
	} else if config.Accumulate < 2 {
		return nil, nil
	}
	learned := variables.Learned()
	for _, i := range config.trained(network) {
		s.model = append(s.model, &summed{parameter: variables.Values()[learned[i]]})
	}
	return s, nil
}

// most is how many images go forward and back together at most.
func (s *sum) most() int {
	if s == nil {
		return math.MaxInt
	}
	return s.size
}

func plainAddScaled(total, gradient []float32, scale float32) error {
	for i, g := range gradient {
		total[i] += scale * g
	}
	return nil
}

// prepare makes the totals.
func (s *sum) prepare() {
	for _, pair := range s.model {
		pair := pair.(*summed)
		total := make([]float32, pair.parameter.Shape().TotalSize())
		pair.gradient = tensor.New(tensor.WithShape(pair.parameter.Shape()...), tensor.WithBacking(total))
		s.total = append(s.total, total)
	}
}

// take adds a part's mean gradients, weighted with its share of the batch. The first part's take
// the place of what was there.
func (s *sum) take(p *program, first bool, share float32) error {
	if s.total == nil {
		s.prepare()
	}
	for i, total := range s.total {
		value, err := p.model[i].Grad()
		if err != nil {
			return err
		}
		if first {
			clear(total)
		}
		if err := s.add(total, value.(*tensor.Dense).Float32s(), share); err != nil {
			return err
		}
	}
	return nil
}
