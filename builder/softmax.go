package builder

import (
	"fmt"

	"slipway/internal/reference"
)

// Softmax turns a vector of logits into probabilities, exp(xᵢ) / Σ exp(xⱼ). It
// may only come last. Training skips it: the cross-entropy is computed from the
// logits, which is stable where the logarithm of a probability is not.
type Softmax struct {
	Name string `json:"name"` // softmax1, … if empty
}

const softmaxKind = "Softmax"

// Kind implements Layer.
func (Softmax) Kind() string { return softmaxKind }

// Infer implements Layer.
func (l Softmax) Infer(inputs []Shape) (Inferred, error) {
	in, err := single(inputs)
	if err == nil && len(in) != 1 {
		err = fmt.Errorf("takes a vector of logits, not %v; put Flatten before it", in)
	}
	return Inferred{Layer: l, Output: in}, err
}

// Compute implements Layer. It has no gradient.
func (Softmax) Compute(call Call) (Computation, error) {
	classes := call.Output[0]
	return Computation{Forward: func(y []float32, in [][]float32) error {
		copy(y, reference.SoftmaxForward(call.Batch, classes, in[0]))
		return nil
	}}, nil
}

// Export implements Exporter.
func (Softmax) Export(e *Export) (string, error) {
	return e.Add("Softmax", []string{e.Input(0)}, Integer("axis", 1)), nil
}
