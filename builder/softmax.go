package builder

import (
	"fmt"
	"math"
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
		for n := range call.Batch {
			x, p := in[0][n*classes:(n+1)*classes], y[n*classes:(n+1)*classes]
			largest := x[0]
			for _, logit := range x[1:] {
				largest = max(largest, logit)
			}
			sum := 0.0
			for i, logit := range x {
				e := math.Exp(float64(logit - largest))
				p[i] = float32(e)
				sum += e
			}
			for i := range p {
				p[i] = float32(float64(p[i]) / sum)
			}
		}
		return nil
	}}, nil
}

// Export implements Exporter.
func (Softmax) Export(e *Export) (string, error) {
	return e.Add("Softmax", []string{e.Input(0)}, Integer("axis", 1)), nil
}
